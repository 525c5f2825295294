"use strict";

// The page of a live session. Pictures are asked for one by one, so that a slow line drops frames
// instead of queueing them; numbers come as server-sent events.

const KEY = new URLSearchParams(location.search).get("key") ?? "";
const CHART = { width: 600, height: 200 }; // units of the chart's viewBox
const RETRY_MS = 1000;

const part = (id) => document.getElementById(id);
const write = (id, text) => {
  if (part(id).textContent !== text) part(id).textContent = text; // screen readers hear changes only
};

const state = { ended: false, chartSeconds: 60, threshold: 0.5, points: [] };

// -- pictures -------------------------------------------------------------------------------------

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

const shown = () =>
  document.hidden
    ? new Promise((done) => document.addEventListener("visibilitychange", done, { once: true }))
    : null;

async function followPictures() {
  let after = -1;
  while (!state.ended) {
    await shown(); // a page in the background costs the session nothing
    try {
      const answer = await fetch(`frame?after=${after}`, { headers: { "X-Vitruvian-Key": KEY } });
      if (answer.headers.has("X-Ended")) return;
      if (answer.status === 200) {
        draw(await createImageBitmap(await answer.blob()));
        after = Number(answer.headers.get("X-Frame"));
      } else if (!answer.ok) await pause(RETRY_MS);
    } catch {
      await pause(RETRY_MS);
    }
  }
}

function draw(picture) {
  const canvas = part("person");
  if (canvas.width !== picture.width || canvas.height !== picture.height) {
    canvas.width = picture.width;
    canvas.height = picture.height;
  }
  canvas.getContext("2d").drawImage(picture, 0, 0);
  picture.close();
  part("empty").hidden = true;
}

// -- numbers --------------------------------------------------------------------------------------

function followNumbers() {
  const events = new EventSource(`events?key=${encodeURIComponent(KEY)}`);
  events.addEventListener("open", () => {
    state.points = []; // a new connection begins with the whole chart
    connected("live", "live");
  });
  events.addEventListener("error", () => {
    if (!state.ended) connected("lost", "connection lost, trying again");
  });
  events.addEventListener("facts", (event) => tellFacts(JSON.parse(event.data)));
  events.addEventListener("reading", (event) => tellReading(JSON.parse(event.data)));
  events.addEventListener("end", (event) => {
    events.close();
    end(JSON.parse(event.data).line);
  });
}

function connected(name, text) {
  part("connection").dataset.state = name;
  write("connection", text);
}

function tellFacts(facts) {
  state.chartSeconds = facts.chart_s;
  state.threshold = facts.threshold;
  write("source", facts.source);
  write("notice", facts.notice);
  write("simulated", facts.simulated ?? "");
  part("simulated").hidden = !facts.simulated;
  write("length", String(facts.chart_s));
  write("begin", `\u2212${facts.chart_s} s`);
}

function tellReading(reading) {
  const known = reading.index !== null;
  write("index", known ? reading.index.toFixed(2) : "\u2013");
  write("basis", reading.basis);
  write("fps", reading.fps === null ? "\u2013" : reading.fps.toFixed(1));
  write("time", reading.time_s.toFixed(1));
  write("frames", String(reading.frame));
  write("seen", reading.seen ? "in view" : "nobody in view");
  tellFlag(known, reading.flag);
  part("marker").hidden = !known;
  if (known) part("marker").style.left = `${100 * reading.index}%`;
  drawChart(reading.points, reading.time_s);
}

function tellFlag(known, raised) {
  const flag = part("flag");
  flag.dataset.state = raised ? "raised" : known ? "clear" : "none";
  flag.closest(".panel").classList.toggle("raised", raised);
  const text = raised ? `red flag: above ${state.threshold}` : "no red flag";
  write("flag-text", known ? text : "no index yet");
}

// -- chart ----------------------------------------------------------------------------------------

function drawChart(points, now) {
  state.points.push(...points);
  const start = now - state.chartSeconds;
  state.points = state.points.filter(([time]) => time >= start);
  const x = (time) => (((time - start) / state.chartSeconds) * CHART.width).toFixed(1);
  const y = (value) => ((1 - value) * CHART.height).toFixed(1);
  let pen = "M"; // lifted where there is no index
  let path = "";
  for (const [time, value] of state.points) {
    if (value !== null) path += `${pen}${x(time)} ${y(value)}`;
    pen = value === null ? "M" : "L";
  }
  for (const line of document.querySelectorAll("#chart .line")) line.setAttribute("d", path);
}

// -- the end --------------------------------------------------------------------------------------

function end(line) {
  state.ended = true;
  part("stop").disabled = true;
  part("empty").hidden = true;
  connected("ended", "ended");
  write("ended", line);
}

async function stop() {
  if (state.ended || part("stop").disabled) return;
  part("stop").disabled = true;
  connected("stopping", "stopping");
  try {
    const answer = await fetch("stop", { method: "POST", headers: { "X-Vitruvian-Key": KEY } });
    part("stop").disabled = answer.ok;
  } catch {
    part("stop").disabled = state.ended;
  }
}

part("stop").addEventListener("click", stop);
document.addEventListener("keydown", (event) => {
  const plain = !event.ctrlKey && !event.metaKey && !event.altKey && !event.repeat;
  if (plain && event.key.toLowerCase() === "q") stop();
});
followPictures();
followNumbers();
