#!/bin/bash
# A real SLURM on one machine, for tests: a controller, several nodes and munge, from Debian's packages.
#
#   scripts/slurm_sandbox.sh up            start it (as root); a second `up` changes nothing
#   scripts/slurm_sandbox.sh down          end it; the logs stay in /run/vitruvian_slurm/log
#   scripts/slurm_sandbox.sh down --wipe   the logs go, too
#
# NODES=2  how many nodes      CPUS=2  processors of each, real or not      GPUS=0  pretend GPUs of each
#
# Needs no systemd and no cgroups. Each node is a slurmd of its own, so that limits of memory are not
# enforced. Partitions: `main`, whose jobs are requeued (10 s of grace) when one of `high` needs room.
# A SLURM that is not ours is left alone. Exit codes: 0 done, 2 wrong use, 3 it cannot run here.
set -eu

NODES=${NODES:-2} CPUS=${CPUS:-2} GPUS=${GPUS:-0}
BASE=/run/vitruvian_slurm
CONF=/etc/slurm/slurm.conf
MARK="made by vitruvian scripts/slurm_sandbox.sh"
HOSTS_MARK="# vitruvian slurm sandbox"
CLUSTER=vitruvian_sandbox
DAEMON=VITRUVIAN_SLURM_SANDBOX=1 # in the environment of our daemons, by which they are found again
PATH=$PATH:/usr/sbin:/sbin

cannot() {
  echo "slurm_sandbox: $1" >&2
  exit 3
}

settings() { echo "nodes=$NODES cpus=$CPUS gpus=$GPUS"; }

check_machine() {
  [ "$(id -u)" = 0 ] || cannot "only root can start SLURM's daemons; run this as root"
  if [ -e $CONF ] && ! grep -q "$MARK" $CONF; then
    cannot "$CONF belongs to a SLURM that is not ours; it is left alone"
  fi
}

install_packages() {
  if command -v slurmctld && command -v slurmd && command -v munged; then return; fi >/dev/null
  command -v apt-get >/dev/null || cannot "slurmctld, slurmd and munged are not installed, nor is apt-get"
  echo "installing slurm-wlm and munge"
  apt-get update -qq || cannot "the list of Debian's packages cannot be fetched (is there a network?)"
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends slurm-wlm munge \
    >/dev/null || cannot "slurm-wlm and munge cannot be installed from Debian's packages"
}

# -- what runs ------------------------------------------------------------------------------------

ours() { # the process ids of our daemons and of their jobs, whoever started them
  grep -lzxE "$DAEMON|SLURM_CLUSTER_NAME=$CLUSTER" /proc/[0-9]*/environ 2>/dev/null | cut -d/ -f3
}

signal_ours() {
  local pids
  pids=$(ours)
  [ -z "$pids" ] || kill "-$1" $pids 2>/dev/null || true
}

ended() { [ -z "$(ours)" ]; }

patiently() { # patiently SECONDS COMMAND...: until it succeeds
  local tries=$(($1 * 5))
  shift
  while [ $tries -gt 0 ]; do
    if "$@" >/dev/null 2>&1; then return 0; fi
    tries=$((tries - 1))
    sleep 0.2
  done
  return 1
}

ready() { # all nodes answer
  [ "$(sinfo -h -N -p main -o %T | grep -cE '^(idle|mixed|allocated|completing)$')" = "$NODES" ]
}

# -- files ----------------------------------------------------------------------------------------

write_conf() {
  local host memory i gres=""
  host=$(hostname -s)
  memory=$(awk -v n="$NODES" '/MemTotal/ {print int($2 / 1024 * 0.8 / n)}' /proc/meminfo)
  [ "$GPUS" = 0 ] || gres=" Gres=gpu:$GPUS"
  mkdir -p /etc/slurm
  {
    echo "# $MARK: $(settings)"
    cat <<END
ClusterName=$CLUSTER
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
# an own munged; a requeued job waits for cred_expire: 120 s by default
AuthInfo=socket=$BASE/munge/socket,cred_expire=15
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
KillWait=10
MinJobAge=300
ReturnToService=2
SlurmdTimeout=120
# a signal that a busy machine is late to confirm is sent again a minute later, to the job's next start
MessageTimeout=60
MpiDefault=none
SwitchType=switch/none
SlurmdParameters=config_overrides
SlurmctldPidFile=$BASE/slurmctld.pid
SlurmdPidFile=$BASE/slurmd.%n.pid
SlurmdSpoolDir=$BASE/spool.%n
StateSaveLocation=$BASE/state
SlurmctldLogFile=$BASE/log/slurmctld.log
SlurmdLogFile=$BASE/log/slurmd.%n.log
END
    [ "$GPUS" = 0 ] || echo "GresTypes=gpu"
    for i in $(seq "$NODES"); do
      echo "NodeName=n$i NodeHostname=$host NodeAddr=127.0.0.1 Port=$((6820 + i))" \
        "CPUs=$CPUS RealMemory=$memory State=UNKNOWN$gres"
    done
    echo "PartitionName=main Nodes=n[1-$NODES] Default=YES State=UP PriorityTier=1 GraceTime=10"
    echo "PartitionName=high Nodes=n[1-$NODES] State=UP PriorityTier=10 PreemptMode=OFF"
  } >$CONF
  write_gpus
  case $(slurmctld -V) in # from 23.02 on slurmd looks for cgroups unless told not to
    *" 2"[0-2].*) ;;
    *) echo "CgroupPlugin=disabled" >/etc/slurm/cgroup.conf ;;
  esac
}

write_gpus() { # copies of /dev/null: counted and given out, good for nothing else
  local g
  [ "$GPUS" != 0 ] || return 0
  for g in $(seq 0 $((GPUS - 1))); do mknod "$BASE/gpu$g" c 1 3; done
  echo "NodeName=n[1-$NODES] Name=gpu File=$BASE/gpu[0-$((GPUS - 1))]" >/etc/slurm/gres.conf
}

name_nodes() { # the ranks of a run meet at the first node's name
  local i
  for i in $(seq "$NODES"); do echo "127.0.0.1 n$i $HOSTS_MARK" >>/etc/hosts; done
}

forget_nodes() { # written in place: in a container /etc/hosts cannot be replaced
  local rest
  if grep -q "$HOSTS_MARK" /etc/hosts; then
    rest=$(grep -v "$HOSTS_MARK" /etc/hosts || true)
    printf '%s\n' "$rest" >/etc/hosts
  fi
}

# -- up and down ----------------------------------------------------------------------------------

start_munge() {
  mkdir -p $BASE/munge
  (umask 077 && head -c 1024 /dev/urandom >$BASE/munge/key)
  chown -R munge: $BASE/munge
  chmod 755 $BASE/munge # all users talk to its socket
  runuser -u munge -- env $DAEMON munged --key-file=$BASE/munge/key --socket=$BASE/munge/socket \
    --pid-file=$BASE/munge/pid --log-file=$BASE/munge/log --seed-file=$BASE/munge/seed
  patiently 10 munge -n --socket=$BASE/munge/socket || cannot "munged does not answer; see $BASE/munge/log"
}

up() {
  local i
  check_machine
  install_packages
  if grep -qsx "# $MARK: $(settings)" $CONF && ready 2>/dev/null; then
    echo "up already: $(settings)"
    return
  fi
  clear_away
  mkdir -p $BASE/state $BASE/log
  chmod 755 $BASE
  write_conf
  name_nodes
  start_munge
  env $DAEMON slurmctld
  patiently 20 scontrol ping || cannot "slurmctld does not answer; see $BASE/log/slurmctld.log"
  for i in $(seq "$NODES"); do
    mkdir -p "$BASE/spool.n$i"
    env $DAEMON slurmd -N "n$i"
  done
  patiently 40 ready || cannot "not all nodes answer; see $BASE/log"
  sinfo
}

clear_away() { # whatever an `up` has left, also one that was killed halfway
  signal_ours TERM
  patiently 5 ended || signal_ours KILL # slurmd may sit out a SIGTERM
  patiently 5 ended || cannot "processes of the sandbox do not end: $(ours | tr '\n' ' ')"
  forget_nodes
  if [ -e $CONF ]; then rm -f /etc/slurm/gres.conf /etc/slurm/cgroup.conf $CONF; fi
  find $BASE -mindepth 1 -maxdepth 1 ! -name log -exec rm -rf {} + 2>/dev/null || true
}

down() {
  [ -e $CONF ] || [ -d $BASE ] || [ -n "$(ours)" ] || return 0
  check_machine
  if timeout 5 scontrol ping >/dev/null 2>&1; then # no job may outlive its scheduler
    timeout 10 scancel --state=PENDING --state=RUNNING --state=SUSPENDED || true
    patiently 12 no_jobs || true
  fi
  clear_away
  [ "${1:-}" != --wipe ] || rm -rf $BASE
}

no_jobs() { [ -z "$(timeout 5 squeue -h)" ]; }

case "${1:-} ${2:-}" in
  "up ") up ;;
  "down " | "down --wipe") down "${2:-}" ;;
  *)
    echo "usage: [NODES=2] [CPUS=2] [GPUS=0] $0 up | down [--wipe]" >&2
    exit 2
    ;;
esac
