"""What a terminal shows of a job: one bar for all images, one for the windows of the present one."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from xemap.cli import printable
from xemap.terminal import PlainConsole, description_column


class JobProgress:
    """Counts images and pixels of a job, without showing them.

    Args:
        images: number of images to be done.
        pixels: their pixels.
    """

    def __init__(self, images: int, pixels: int) -> None:
        self.images, self.pixels, self.done_images, self.done_pixels = images, pixels, 0, 0
        self._start, self._present = time.perf_counter(), 0

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.perf_counter() - self._start

    def image(self, name: str, pixels: int) -> None:
        """An image is begun."""
        self._present = pixels

    def windows(self, done: int, total: int) -> None:
        """Some windows of the present image are done."""

    def notes(self, name: str, texts: Sequence[str]) -> None:
        """What the user should know of the answers about an image."""

    def finished(self, written: bool) -> None:
        """The present image is done; ``written`` = without an error."""
        self.done_images += 1
        if written:
            self.done_pixels += self._present


class ShownProgress(JobProgress):
    """The same as two bars, which cost the same whatever the number of images."""

    def __init__(self, images: int, pixels: int, bars: Progress) -> None:
        super().__init__(images, pixels)
        self._bars = bars
        self._all = bars.add_task('images', total=images, speed_text='')
        self._one = bars.add_task('', total=None, speed_text='')
        self._noted = False

    def image(self, name: str, pixels: int) -> None:
        super().image(name, pixels)
        self._bars.update(self._one, description=printable(name)[-40:], completed=0, total=None)

    def windows(self, done: int, total: int) -> None:
        self._bars.update(self._one, completed=done, total=total)

    def notes(self, name: str, texts: Sequence[str]) -> None:
        """Prints those of the first image that has some; all are in the images' records."""
        if texts and not self._noted:
            self._noted = True
            for text in texts:
                self._bars.console.print(f'note: {name}: {text}', soft_wrap=True)

    def finished(self, written: bool) -> None:
        super().finished(written)
        speed = f'{self.done_pixels / 1e6 / max(self.seconds, 1e-9):.2f} Mpx/s'
        self._bars.update(self._all, completed=self.done_images, speed_text=speed)


@contextmanager
def progress_bars() -> Iterator[Progress]:
    """Bars on stderr, where it is a terminal."""
    columns = (
        description_column(), BarColumn(), MofNCompleteColumn(), TextColumn('{task.fields[speed_text]}'),
        TimeRemainingColumn(),
    )  # fmt: skip
    console = PlainConsole(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        yield bars
