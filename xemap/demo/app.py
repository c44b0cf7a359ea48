"""The page and its server. Import it by :func:`xemap.demo.load_app`."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import gradio
from gradio.routes import App, ORJSONResponse
from PIL import Image
from starlette.responses import PlainTextResponse

from xemap.demo import figures
from xemap.demo.guard import Guard, Names
from xemap.demo.model_process import Limits, ModelProcess, build_answerer
from xemap.demo.request import MODES, Answer, read_request
from xemap.demo.storage import Storage
from xemap.demo.uploads import SUFFIXES
from xemap.errors import ConfigError, XeMapError
from xemap.preparation.synthetic import generate_scene

SAMPLE_SEEDS = (3, 11, 26)
SAMPLE_SIDE = 512
SAMPLE_QUERIES = 3

ABOUT = """# XeMap
Where in an image is what a sentence describes? Choose a drawn sample or your own image, and type queries."""

NOT_FROM_HERE = 'this is not what the page asks for; reload it, and choose or type again'

SET_OPACITY = "value => { document.documentElement.style.setProperty('--xm-opacity', value); }"
SET_OUTLINES = "value => { document.body.classList.toggle('xm-no-outlines', !value); }"


class Page(gradio.Blocks):
    """Blocks that refuse in a plain line what their components cannot read."""

    async def preprocess_data(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return await super().preprocess_data(*args, **kwargs)
        except Exception as error:
            if isinstance(error, gradio.Error) and not error.print_exception:
                raise
            raise gradio.Error(NOT_FROM_HERE, print_exception=False) from error


@dataclass(frozen=True)
class Sample:
    """A drawn scene and some of its queries."""

    path: str
    queries: tuple[str, ...]
    preview: str
    """HTML."""


def draw_samples(folder: str | Path, seeds: Sequence[int] = SAMPLE_SEEDS) -> list[Sample]:
    """Draw synthetic scenes into a folder; of each take queries of different kinds."""
    samples = []
    for number, seed in enumerate(seeds, start=1):
        scene = generate_scene(seed, SAMPLE_SIDE)
        path = Path(folder, f'sample_{number}.png')
        Image.fromarray(scene.image).save(path)
        by_kind = {query.kind: query.text for query in reversed(scene.queries)}
        samples.append(Sample(str(path), tuple(by_kind.values())[:SAMPLE_QUERIES], figures.photo(scene.image)))
    return samples


def build_page(model: ModelProcess, samples: Sequence[Sample]) -> gradio.Blocks:
    """The page as gradio Blocks.

    Args:
        model: answers.
        samples: to choose from; the first is chosen at the start.
    """
    with Page(title='XeMap', analytics_enabled=False, delete_cache=(600, 3600), fill_width=True) as page:
        sample = gradio.State(samples[0].path)
        gradio.Markdown(ABOUT)
        with gradio.Row():
            with gradio.Column(scale=2, min_width=320):
                gallery = gradio.Gallery(
                    [sample.path for sample in samples], label='Drawn samples', show_label=False,
                    columns=len(samples), height=120, allow_preview=False, interactive=False, buttons=[],
                    elem_id='samples', selected_index=0, object_fit='cover', fit_columns=False,
                )  # fmt: skip
                upload = gradio.File(
                    label='Your image: GeoTIFF, JPEG, PNG …', file_types=list(SUFFIXES), height=150, elem_id='upload'
                )
                queries = gradio.Textbox(
                    '\n'.join(samples[0].queries), label='Queries, one per line', lines=3, max_lines=8,
                    elem_id='queries',
                )  # fmt: skip
                with gradio.Accordion('Options', open=False):
                    mode = gradio.Radio(list(MODES), value=next(iter(MODES)), label='What the model sees')
                    threshold = gradio.Dropdown(
                        ['auto', 'otsu', '0.5', 'q0.95'], value='auto', allow_custom_value=True,
                        label='Regions begin at',
                        info='auto: Otsu’s threshold for maps, 0.5 for masks, any score for boxes; or a value, or a '
                        'quantile of the map',
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
                        gradio.HTML(figures.color_bar(), elem_id='bar')
                shown = gradio.HTML(samples[0].preview, elem_id='shown', min_height=80)
                files = gradio.File(
                    label='Maps as GeoTIFF, regions as GeoJSON', file_count='multiple', interactive=False,
                    visible=False, elem_id='files',
                )  # fmt: skip

        _refuse_addresses(upload)
        for typed in (queries, threshold):
            setattr(typed, 'preprocess', _as_sent)  # noqa: B010
        no_files = gradio.File(value=None, visible=False)

        def choose_sample(event: gradio.SelectData):
            sample = samples[event.index if event.index in range(len(samples)) else 0]
            return sample.path, '\n'.join(sample.queries), None, sample.preview, no_files

        def choose_file(path: str):
            answer = _with_errors_shown(lambda: model.preview(str(path)))
            return None, answer.html, no_files, gradio.Gallery(selected_index=None)

        def find(uploaded, sample, text, mode, threshold, parts, progress=gradio.Progress()):  # noqa: B008
            progress(0, desc='looking')
            path = sample if uploaded is None else str(uploaded)

            def tell(done: int, total: int) -> None:
                progress((done, total), desc='looking', unit='windows' if MODES.get(mode) == 'tile' else 'images')

            answer = _with_errors_shown(lambda: model.answer(read_request(path, text, mode, threshold, parts), tell))
            return answer.html, gradio.File(value=answer.files or None, visible=answer.ok)

        quiet: dict[str, Any] = dict(api_visibility='private', show_progress='minimal')
        at_once: dict[str, Any] = dict(api_visibility='private', show_progress='hidden', queue=False)
        one_by_one: dict[str, Any] = dict(concurrency_id='model', concurrency_limit=1)
        gallery.select(choose_sample, None, [sample, queries, upload, shown, files], **quiet)
        upload.upload(choose_file, upload, [sample, shown, files, gallery], **quiet, **one_by_one)
        upload.clear(lambda: ('', no_files), None, [shown, files], **quiet)
        inputs = [upload, sample, queries, mode, threshold, parts]
        ask.click(
            lambda: gradio.Button('Finding …', interactive=False), None, ask, scroll_to_output=False, **at_once
        ).then(
            find, inputs, [shown, files], scroll_to_output=True, api_visibility='private', show_progress='full',
            show_progress_on=shown, **one_by_one,
        ).then(lambda: gradio.Button('Find', interactive=True), None, ask, **at_once)  # fmt: skip
        opacity.input(None, opacity, None, js=SET_OPACITY, api_visibility='private')
        outlines.input(None, outlines, None, js=SET_OUTLINES, api_visibility='private')
    return page.queue(default_concurrency_limit=1, max_size=32)


@contextmanager
def serving(
    config: Any,
    checkpoint: str | None = None,
    device: str | None = None,
    host: str = '127.0.0.1',
    port: int = 7860,
    allow_hosts: Sequence[str] = (),
    max_mb: float = 100,
    max_megapixels: float = 50,
    max_seconds: float = Limits.seconds,
    max_memory: float = Limits.memory / 1e9,
    max_disk: float = 4,
) -> Iterator[tuple[str, gradio.Blocks]]:
    """Serve the page while the block runs; nothing is kept afterwards.

    Args:
        config, checkpoint, device: see :class:`~xemap.inference.XeMapInferencer`.
        host: address to listen on; ``0.0.0.0`` = every network that this machine is in.
        port: 0 = any free one.
        allow_hosts: other names under which visitors reach the page, as behind a proxy.
        max_mb: most MB of an upload.
        max_megapixels: most megapixels of an image.
        max_seconds: that a request may compute.
        max_memory: GB that a request may take beside the model.
        max_disk: GB of all uploads and answers.

    Yields:
        the page's address and the running page.

    Raises:
        ConfigError: the port is taken or none, the address is not this machine's, or a limit lets nothing through.
        XeMapError: the model cannot be built.
    """
    if not 0 <= port <= 65535:
        raise ConfigError(f'port {port}; give one of 1 to 65535, or 0 for any free one')
    bounds = dict(
        max_mb=max_mb, max_megapixels=max_megapixels, max_seconds=max_seconds, max_memory=max_memory, max_disk=max_disk
    )
    if not all(bound > 0 for bound in bounds.values()):
        raise ConfigError(f'{", ".join(f"{name}={bound:g}" for name, bound in bounds.items())}; give more than 0')
    port = _free_port(host, port)
    with tempfile.TemporaryDirectory(prefix='xemap_demo_') as name:
        storage = Storage(Path(name), round(max_disk * 1e9))
        samples = draw_samples(name)
        build = partial(build_answerer, config, checkpoint, device, round(max_megapixels * 1e6))
        model = ModelProcess(build, Limits(max_seconds, round(max_memory * 1e9)), storage)
        try:
            with _uploads_in(storage.files):
                page = build_page(model, samples)
                max_upload = round(max_mb * 1e6)
                app = GuardedApp(partial(Guard, names=Names(host, allow_hosts), max_upload=max_upload, storage=storage))
                url = _launch(page, app, host, port, max_upload)
                storage.keep()
                try:
                    yield url, page
                finally:
                    page.close(verbose=False)
        finally:
            model.close()


class GuardedApp(App):
    """Gradio's application behind a :class:`~xemap.demo.guard.Guard`, which sees requests first and answers last."""

    def __init__(self, guard: Callable[[Any], Guard]) -> None:
        unreadable = dict.fromkeys((KeyError, TypeError, ValueError), _refuse)
        super().__init__(default_response_class=ORJSONResponse, exception_handlers=unreadable)
        self._guard = guard

    def build_middleware_stack(self) -> Any:
        return self._guard(super().build_middleware_stack())


async def _refuse(_: Any, __: Exception) -> PlainTextResponse:
    return PlainTextResponse(NOT_FROM_HERE, 400)


def _launch(page: gradio.Blocks, app: App, host: str, port: int, max_upload: int) -> str:
    theme = gradio.themes.Default(font=['system-ui', 'sans-serif'], font_mono=['ui-monospace', 'monospace'])
    try:
        _, url, _ = page.launch(
            server_name=host, server_port=port, share=False, prevent_thread_lock=True, quiet=True, footer_links=[],
            run_history=False, pwa=False, mcp_server=False, ssr_mode=False, enable_monitoring=False,
            max_file_size=max_upload, theme=theme, css=figures.CSS, _app=app,
        )  # fmt: skip
    except OSError as error:
        raise _taken(host, port, error) from error
    return url


def _with_errors_shown(work: Callable[[], Answer]) -> Answer:
    """What the page shows of a request, also of one that was refused or ended."""
    try:
        return work()
    except XeMapError as error:
        return Answer(figures.error(str(error)), ok=False)


def _as_sent(value: Any) -> Any:
    """Gradio would make a text of anything."""
    return value


def _refuse_addresses(upload: gradio.File) -> None:
    """Gradio downloads a file that a client names by its address; nothing comes from elsewhere here."""
    move = upload.async_move_resource_to_block_cache

    async def only_uploads(path: Any) -> str | None:
        if urlsplit(str(path)).scheme:
            raise gradio.Error('upload the file itself', print_exception=False)
        return await move(path)

    setattr(upload, 'async_move_resource_to_block_cache', only_uploads)  # noqa: B010


@contextmanager
def _uploads_in(folder: Path) -> Iterator[None]:
    """Uploads, and what gradio copies, go with the rest."""
    before = os.environ.get('GRADIO_TEMP_DIR')
    os.environ['GRADIO_TEMP_DIR'] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ['GRADIO_TEMP_DIR']
        else:
            os.environ['GRADIO_TEMP_DIR'] = before


def _free_port(host: str, port: int) -> int:
    """The port, or any free one for 0.

    Raises:
        ConfigError: it is taken, or the address is not this machine's; raised before a model is loaded.
    """
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    try:
        with socket.create_server((host.strip('[]'), port), family=family) as server:
            return server.getsockname()[1]
    except OSError as error:
        raise _taken(host, port, error) from error


def _taken(host: str, port: int, error: OSError) -> ConfigError:
    return ConfigError(f'{host}:{port} cannot be listened on ({error}); choose another --port or --host')
