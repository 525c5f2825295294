"""The image buffer between a reader and its consumer: N x gamma images, never one more.

The paper fills sequence buckets of N images, of which the whole system holds gamma (section III.A,
equation 1: the sum of all images <= N gamma). Here a thread reads ahead while the consumer works:
decoding and pose estimation release Python's lock, so both run at once. The consumer gets an image
as soon as it is there, it does not wait for a full bucket, and the last bucket may be short.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Generic, Protocol, TypeVar


class Releasable(Protocol):
    """What a buffer holds: something with an image that it can let go of."""

    def release(self) -> None:
        """Let go of the image."""


T = TypeVar("T", bound=Releasable)


class ImageBuffer:
    """How many images may be held: `buckets` times `length`.

    An image counts from just before it is read until the consumer takes the next one. While all
    places are taken, the reader waits. A live source should not wait: an image that nobody took is
    dropped for a newer one. That takes three places, for the image in use, the newest, and the one
    that is being read; with fewer the consumer gets older images.

    Args:
        length: N, images of a bucket.
        buckets: gamma, buckets of the system.

    Raises:
        ValueError: one of them is below 1.
    """

    def __init__(self, length: int = 150, buckets: int = 2) -> None:
        if length < 1 or buckets < 1:
            raise ValueError(f"length={length}, buckets={buckets}: both must be 1 or more")
        self.length, self.buckets = length, buckets

    @property
    def capacity(self) -> int:
        """Images that may be held at once, N x gamma."""
        return self.length * self.buckets

    def fill(self, source: Iterable[T], live: bool | None = None) -> BufferedFrames[T]:
        """Read `source` in a thread, from entering the result as a context until leaving it.

        Args:
            source: of images. It is read by one thread only, and still open after the context.
            live: keep only the newest image; None: as `source.live` says.
        """
        live = bool(getattr(source, "live", False)) if live is None else live
        return BufferedFrames(source, self.capacity, live)


class BufferedFrames(Generic[T]):
    """Images in the order of the source; made by `ImageBuffer.fill`.

    An image is released when the next one is taken or the context is left.

    Attributes:
        capacity: images that may be held at once.
        held: images held now, the one that is being read and the one in use included.
        peak: most images that were held at once.
        dropped: images of a live source that nobody took.
    """

    def __init__(self, source: Iterable[T], capacity: int, live: bool) -> None:
        self.capacity, self.live = capacity, live
        self.held = self.peak = self.dropped = 0
        self._source = source
        self._ready: deque[T] = deque()
        self._used: T | None = None
        self._error: BaseException | None = None
        self._reserved = self._ended = self._closed = False
        self._changed = threading.Condition()
        # A daemon: a source that never answers must not keep the program from ending.
        self._thread = threading.Thread(target=self._read, name="reader", daemon=True)

    # --- the consumer's side ---

    def __enter__(self) -> BufferedFrames[T]:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop the reader, after the image that it is reading, and release all images."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()
        with self._changed:
            self._give_back()
            while self._ready:
                self._drop()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        """The next image; waits for it.

        Raises:
            RuntimeError: the context was not entered: nothing is being read.
            StopIteration: the source ended, or the buffer was closed.
            BaseException: what the source raised, after the images before it.
        """
        if self._thread.ident is None:
            raise RuntimeError("enter the context first: with buffer.fill(source) as frames")
        with self._changed:
            self._give_back()
            self._changed.wait_for(lambda: self._ready or self._ended or self._closed)
            if self._ready and not self._closed:
                self._used = self._ready.popleft()
                return self._used
            if self._error is not None:
                raise self._error
            raise StopIteration

    def _give_back(self) -> None:
        if self._used is not None:
            self._used.release()
            self._used = None
            self._let_go()

    # --- the reader's side ---

    def _read(self) -> None:
        try:
            images = iter(self._source)
            while self._reserve() and self._put(next(images, None)):
                pass
        except BaseException as error:  # the consumer raises it
            self._error = error
        with self._changed:
            self._ended = True
            if self._reserved:
                self._let_go()
            self._changed.notify_all()

    def _reserve(self) -> bool:
        """Wait for a place for the next image; False: nobody wants it any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self.held < self.capacity)
            if self._closed:
                return False
            self._reserved = True
            self.held += 1
            self.peak = max(self.peak, self.held)
            assert self.held <= self.capacity, "equation (1): more than N x gamma images"
            return True

    def _put(self, image: T | None) -> bool:
        """Hand an image to the consumer, which takes over its place; False: there is none."""
        if image is None:
            return False
        with self._changed:
            while self.live and self._ready:
                self._drop()
                self.dropped += 1
            self._reserved = False
            self._ready.append(image)
            self._changed.notify_all()
            return True

    def _drop(self) -> None:
        self._ready.popleft().release()
        self._let_go()

    def _let_go(self) -> None:
        self.held -= 1
        self._changed.notify_all()
