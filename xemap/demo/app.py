"""The page and its server. Import it by :func:`xemap.demo.load_app`."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio
from PIL import Image
from starlette.middleware import Middleware

from xemap.demo import figures
from xemap.demo.answer import Answerer
from xemap.demo.uploads import SUFFIXES
from xemap.errors import ConfigError
from xemap.preparation.synthetic import generate_scene

SAMPLE_SEEDS = (3, 11, 26)
SAMPLE_SIDE = 512
SAMPLE_QUERIES = 3

POLICY = (
    "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; frame-ancestors 'self'; base-uri 'self'; "
    "object-src 'none'"
)
"""The promise "nothing from elsewhere", kept by the browser."""

ABOUT = """# XeMap
Where in an image is what a sentence describes? Choose a drawn sample or your own image, and type queries."""

SET_OPACITY = "value => { document.documentElement.style.setProperty('--xm-opacity', value); }"
SET_OUTLINES = "value => { document.body.classList.toggle('xm-no-outlines', !value); }"
MODES = {'whole image': 'resize', 'tiles, for large images': 'tile'}


@dataclass(frozen=True)
class Sample:
    """A drawn scene and some of its queries."""

    path: str
    queries: tuple[str, ...]


def draw_samples(folder: str | Path, seeds: Sequence[int] = SAMPLE_SEEDS) -> list[Sample]:
    """Draw synthetic scenes into a folder; of each take queries of different kinds."""
    samples = []
    for number, seed in enumerate(seeds, start=1):
        scene = generate_scene(seed, SAMPLE_SIDE)
        path = Path(folder, f'sample_{number}.png')
        Image.fromarray(scene.image).save(path)
        by_kind = {query.kind: query.text for query in reversed(scene.queries)}
        samples.append(Sample(str(path), tuple(by_kind.values())[:SAMPLE_QUERIES]))
    return samples


def build_page(answerer: Answerer, samples: Sequence[Sample], folder: Path) -> gradio.Blocks:
    """The page as gradio Blocks.

    Args:
        samples: to choose from; the first is chosen at the start.
        folder: for the files of an answer; gradio copies what it offers for download.
    """
    with gradio.Blocks(title='XeMap', analytics_enabled=False, delete_cache=(600, 3600), fill_width=True) as page:
        sample = gradio.State(samples[0].path)
        gradio.Markdown(ABOUT)
        with gradio.Row():
            with gradio.Column(scale=2, min_width=320):
                gallery = gradio.Gallery(
                    [own.path for own in samples], label='Drawn samples', show_label=False,
                    columns=len(samples), height=120, allow_preview=False, interactive=False, buttons=[],
                    elem_id='samples', selected_index=0, object_fit='cover', fit_columns=False,
                )  # fmt: skip
                upload = gradio.File(
                    label='Your image: GeoTIFF, JPEG, PNG …', file_types=list(SUFFIXES), height=150, elem_id='upload'
                )
                queries = gradio.Textbox(
                    '\n'.join(samples[0].queries), label='Queries, one a line', lines=3, max_lines=8, elem_id='queries'
                )
                with gradio.Accordion('Options', open=False):
                    mode = gradio.Radio(list(MODES), value=next(iter(MODES)), label='What the model sees')
                    threshold = gradio.Dropdown(
                        ['otsu', '0.5', 'q0.95'], value='otsu', allow_custom_value=True,
                        label='Regions begin at', info='Otsu’s threshold, a value, or a quantile of the map',
                    )  # fmt: skip
                parts = gradio.Checkbox(False, label='Show the parts of multi-hop queries', elem_id='parts')
                ask = gradio.Button('Find', variant='primary', elem_id='ask')
            with gradio.Column(scale=5, min_width=320):
                with gradio.Row():
                    opacity = gradio.Slider(
                        0, 1, figures.OPACITY, step=0.05, label='Opacity of maps', elem_id='opacity'
                    )
                    with gradio.Column(min_width=200):
                        outlines = gradio.Checkbox(True, label='Outlines of regions', elem_id='outlines')
                        gradio.HTML(figures.colour_bar(), elem_id='bar')
                shown = gradio.HTML(answerer.preview(samples[0].path).html, elem_id='shown')
                files = gradio.File(
                    label='Maps as GeoTIFF, regions as GeoJSON', file_count='multiple', interactive=False,
                    visible=False, elem_id='files',
                )  # fmt: skip

        no_files = gradio.File(value=None, visible=False)

        def choose_sample(event: gradio.SelectData):
            own = samples[event.index]
            return own.path, '\n'.join(own.queries), None, answerer.preview(own.path).html, no_files

        def choose_file(path: str):
            return None, answerer.preview(path).html, no_files, gradio.Gallery(selected_index=None)

        def find(own, sample, text, mode, threshold, parts, progress=gradio.Progress()):  # noqa: B008
            shutil.rmtree(folder, ignore_errors=True)  # of the answer before; only one is made at a time
            answer = answerer.answer(
                own or sample, text, folder, MODES[mode], threshold, parts, lambda done, total: progress((done, total))
            )
            return answer.html, gradio.File(value=answer.files or None, visible=answer.ok)

        quiet: dict[str, Any] = dict(api_visibility='private', show_progress='minimal')
        gallery.select(choose_sample, None, [sample, queries, upload, shown, files], **quiet)
        upload.upload(choose_file, upload, [sample, shown, files, gallery], **quiet)
        upload.clear(lambda: ('', no_files), None, [shown, files], **quiet)
        inputs = [upload, sample, queries, mode, threshold, parts]
        ask.click(find, inputs, [shown, files], scroll_to_output=True, api_visibility='private', show_progress_on=ask)
        opacity.input(None, opacity, None, js=SET_OPACITY, api_visibility='private')
        outlines.input(None, outlines, None, js=SET_OUTLINES, api_visibility='private')
    return page.queue(default_concurrency_limit=1, max_size=32)


@contextmanager
def serving(
    inferencer: Any, host: str = '127.0.0.1', port: int = 7860, max_mb: float = 100, max_megapixels: float = 50
) -> Iterator[tuple[str, gradio.Blocks]]:
    """Serve the page while the block runs; nothing is kept afterwards.

    Args:
        inferencer: see :class:`~xemap.inference.XeMapInferencer`.
        host: address to listen on; ``0.0.0.0`` = every network that this machine is in.
        port: 0 = any free one.
        max_mb: of an upload.
        max_megapixels: of an image.

    Yields:
        the page's address and the running page.

    Raises:
        ConfigError: the port is taken or none, the address is not this machine's, or a limit lets nothing through.
    """
    if not 0 <= port <= 65535:
        raise ConfigError(f'port {port}; give one of 1 to 65535, or 0 for any free one')
    if not max_mb > 0 or not max_megapixels > 0:
        raise ConfigError(f'max_mb={max_mb:g}, max_megapixels={max_megapixels:g}; give more than 0')
    with tempfile.TemporaryDirectory(prefix='xemap_demo_') as name, _uploads_in(f'{name}/gradio'):
        folder = Path(name)
        page = build_page(Answerer(inferencer, round(max_megapixels * 1e6)), draw_samples(folder), folder / 'answer')
        theme = gradio.themes.Default(font=['system-ui', 'sans-serif'], font_mono=['ui-monospace', 'monospace'])
        try:
            _, url, _ = page.launch(
                server_name=host, server_port=port or _free_port(host), share=False, prevent_thread_lock=True,
                quiet=True, footer_links=[], run_history=False, pwa=False, mcp_server=False,
                ssr_mode=False, enable_monitoring=False, max_file_size=round(max_mb * 1e6), theme=theme,
                css=figures.CSS, app_kwargs={'middleware': [Middleware(ContentPolicy)]},
            )  # fmt: skip
        except OSError as error:
            raise ConfigError(
                f'{host}:{port} cannot be listened on ({error}); choose another --port or --host'
            ) from error
        try:
            yield url, page
        finally:
            page.close(verbose=False)


class ContentPolicy:
    """ASGI middleware that sends :data:`POLICY` with every page."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def send_with_policy(message: Any) -> None:
            if message['type'] == 'http.response.start':
                own = [(b'content-security-policy', POLICY.encode()), (b'referrer-policy', b'no-referrer')]
                message = {**message, 'headers': [*message.get('headers', ()), *own]}
            await send(message)

        await self.app(scope, receive, send_with_policy)


@contextmanager
def _uploads_in(folder: str) -> Iterator[None]:
    """Uploads, and what gradio copies, go with the rest."""
    before = os.environ.get('GRADIO_TEMP_DIR')
    os.environ['GRADIO_TEMP_DIR'] = folder
    try:
        yield
    finally:
        if before is None:
            del os.environ['GRADIO_TEMP_DIR']
        else:
            os.environ['GRADIO_TEMP_DIR'] = before


def _free_port(host: str) -> int:
    with socket.create_server((host, 0)) as server:
        return server.getsockname()[1]
