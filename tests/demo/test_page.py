"""The page in a real browser."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import shutil
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from tests.tools.command import load_tool
from tests.tools.small_run import ROOT, write_run
from xemap.cli import run

CHROMIUM = next(
    (path for name in ('chromium', 'chromium-browser', 'google-chrome') if (path := shutil.which(name))), None
)
MISSING = [name for name in ('gradio', 'playwright', 'rasterio') if importlib.util.find_spec(name) is None]
in_browser = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f'not installed: {", ".join(MISSING)}'),
    pytest.mark.skipif(CHROMIUM is None, reason='no Chromium on this machine'),
]

KIND = {'name': 'a.png', 'mimeType': 'image/png'}
CONNECTED: list[object] = []


def listen(event: str, args: tuple) -> None:
    if event == 'socket.connect' and isinstance(args[1], tuple):
        CONNECTED.append(args[1][0])
    elif event == 'socket.getaddrinfo':
        CONNECTED.append(args[0])


@pytest.fixture(scope='module')
def site(tmp_path_factory, served_processes):
    from xemap.demo import load_app

    config = write_run(tmp_path_factory.mktemp('run'))
    sys.addaudithook(listen)
    before = os.environ.get('GRADIO_TEMP_DIR')
    with load_app().serving(str(config), None, 'cpu', port=0, max_mb=1, max_megapixels=0.3) as (url, _):
        yield url
    assert os.environ.get('GRADIO_TEMP_DIR') == before


@pytest.fixture(scope='module')
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as tools:
        browser = tools.chromium.launch(executable_path=CHROMIUM, args=['--no-sandbox'])
        yield browser
        browser.close()


@pytest.fixture
def tab(site, browser):
    tab = browser.new_page(viewport={'width': 1100, 'height': 900})
    tab.requests, tab.problems = [], []
    tab.on('request', lambda request: tab.requests.append(request.url))
    tab.on('console', lambda message: tab.problems.append(message.text) if message.type == 'error' else None)
    tab.on('pageerror', lambda error: tab.problems.append(str(error)))
    tab.goto(site)
    tab.wait_for_selector('#shown img')
    yield tab
    tab.close()


def upload(tab, path: Path) -> None:
    tab.set_input_files('#upload input[type=file]', path)


def ask(tab, queries: str) -> None:
    tab.fill('#queries textarea', queries)
    tab.click('#ask')


def picture(tab) -> np.ndarray:
    tab.wait_for_function('[...document.images].every(image => image.complete)')
    return np.asarray(Image.open(io.BytesIO(tab.locator('.xm-stack').first.screenshot())).convert('RGB')).astype(int)


@pytest.fixture
def geotiff(tmp_path):
    import rasterio

    path = tmp_path / 'scene.tif'
    pixels = np.random.default_rng(0).integers(1, 255, (3, 120, 160)).astype(np.uint8)
    place = rasterio.transform.from_origin(5e5, 5e6, 2, 2)
    profile = dict(driver='GTiff', width=160, height=120, count=3, dtype='uint8', crs='EPSG:32633', transform=place)
    with rasterio.open(path, 'w', **profile) as dataset:
        dataset.write(pixels)
    return path, place


@pytest.mark.usefixtures('site')
class TestPage:
    pytestmark = in_browser

    def test_upload_query_overlay_slider_download(self, tab, geotiff, tmp_path):
        import rasterio

        path, place = geotiff
        upload(tab, path)
        tab.wait_for_selector('#upload .file-preview')
        ask(tab, 'the lake\nthe road next to the lake')
        tab.wait_for_selector('.xm-map')
        assert tab.locator('.xm-card h3').all_inner_texts() == ['the lake', 'the road next to the lake']

        shown = picture(tab)
        assert np.ptp(shown, axis=2).max() > 60, 'colors of the map are over the gray image'
        slider = tab.locator('#opacity input[type=range]')
        slider.focus()
        slider.press('Home')
        tab.wait_for_function("getComputedStyle(document.querySelector('.xm-map')).opacity === '0'")
        tab.locator('#outlines input').uncheck()
        bare = picture(tab)
        assert np.ptp(bare, axis=2).max() <= 8, 'without map and outlines the image is gray'
        slider.press('End')
        tab.wait_for_function("getComputedStyle(document.querySelector('.xm-map')).opacity === '1'")
        assert np.abs(picture(tab) - bare).mean() > 20

        saved = {}
        for link in tab.locator('#files a[download]').all():
            with tab.expect_download() as download:
                link.click()
            download.value.save_as(tmp_path / 'got' / download.value.suggested_filename)
            saved[download.value.suggested_filename] = tmp_path / 'got' / download.value.suggested_filename
        assert list(saved) == [
            f'scene_{query}.{suffix}'
            for query in ('01_the-lake', '02_the-road-next-to-the-lake')
            for suffix in ('tif', 'geojson')
        ]
        with rasterio.open(saved['scene_01_the-lake.tif']) as dataset:
            assert dataset.shape == (120, 160) and dataset.crs.to_epsg() == 32633 and dataset.transform == place
            assert dataset.tags()['query'] == 'the lake' and 0 <= dataset.read(1).min() < dataset.read(1).max() <= 1
        assert json.loads(saved['scene_01_the-lake.geojson'].read_text())['features']
        self.check_quiet(tab)

    def test_work_shows_and_the_button_waits(self, tab):
        tab.evaluate("""() => {
            const button = document.querySelector('#ask'), shown = document.querySelector('#shown');
            const sign = () => !!shown.parentElement.querySelector('[class*=progress-text], .eta-bar');
            window.signs = [];
            new MutationObserver(() => window.signs.push([button.disabled, button.innerText, sign()])).observe(
                document.body, {subtree: true, childList: true, attributes: true});
        }""")
        ask(tab, 'the lake')
        tab.wait_for_selector('.xm-map')
        tab.wait_for_selector('#ask:enabled:has-text("Find")')
        signs = tab.evaluate('window.signs')
        assert [True, 'Finding …', True] in signs, signs[:5]
        assert signs[-1][0] is False

    def test_sample_with_parts_on_a_phone(self, tab):
        tab.set_viewport_size({'width': 390, 'height': 844})
        before = tab.input_value('#queries textarea')
        tab.locator('#samples button img').nth(1).click()
        tab.wait_for_function("old => document.querySelector('#queries textarea').value !== old", arg=before)
        tab.locator('#parts input').check()
        ask(tab, 'the lake next to the road')
        tab.wait_for_selector('.xm-map')
        assert tab.locator('.xm-map').count() == 3
        assert tab.locator('figcaption b').all_inner_texts() == ['the lake', 'the road']
        assert tab.evaluate('document.documentElement.scrollWidth') <= 390
        self.check_quiet(tab)

    @pytest.mark.parametrize(
        ('size', 'message'), [(None, 'no.png is broken or no PNG image'), ((600, 600), 'more than the 0.3 million')]
    )
    def test_a_file_that_does_not_fit_is_a_message(self, tab, tmp_path, size, message):
        if size:
            Image.new('RGB', size).save(tmp_path / 'no.png')
        else:
            (tmp_path / 'no.png').write_bytes(b'no image')
        upload(tab, tmp_path / 'no.png')
        alert = tab.wait_for_selector('#shown [role=alert]')
        assert message in alert.inner_text() and 'Traceback' not in tab.content()
        tab.click('#upload button[aria-label=Clear]')
        tab.wait_for_selector('#shown [role=alert]', state='detached')
        ask(tab, 'the lake')
        tab.wait_for_selector('#shown [role=alert]:has-text("no image; choose a sample or upload one")')
        self.check_quiet(tab)

    def test_a_file_of_too_many_bytes_is_refused(self, tab, tmp_path):
        (tmp_path / 'large.png').write_bytes(bytes(1_100_000))
        upload(tab, tmp_path / 'large.png')
        tab.wait_for_selector('text=/exceeds? .*(size|limit)/i')
        assert tab.locator('#upload .file-preview').count() == 0

    def test_the_browser_is_forbidden_to_ask_elsewhere(self, tab):
        blocked = tab.evaluate("""() => new Promise(done => {
            document.addEventListener('securitypolicyviolation', event => done(event.blockedURI));
            fetch('http://127.0.0.2:9/').then(() => done('nothing'), () => setTimeout(done, 2000, 'nothing'));
        })""")
        assert blocked.startswith('http://127.0.0.2:9')

    def test_the_server_too_refuses_many_bytes(self, tab, site):
        answers = [
            tab.request.post(f'{site}gradio_api/upload', multipart={'files': {**KIND, 'buffer': bytes(size)}})
            for size in (900_000, 1_100_000)
        ]
        assert [answer.status for answer in answers] == [200, 413]

    def check_quiet(self, tab):
        """Nothing was asked of other machines, by the page or by the server, and nothing failed."""
        elsewhere = [url for url in tab.requests if not url.startswith(('http://127.0.0.1:', 'data:', 'blob:'))]
        assert not elsewhere and len(tab.requests) > 10
        assert not tab.problems
        assert CONNECTED and set(CONNECTED) <= {'127.0.0.1'}


@pytest.mark.skipif('gradio' in MISSING, reason='gradio is not installed')
def test_the_tool_passes_its_options_on_and_stays_on_this_machine(monkeypatch, tmp_path):
    from xemap.demo import load_app

    seen = {}

    @contextmanager
    def serving(config, checkpoint, device, **options):
        seen.update(options)
        yield 'url', SimpleNamespace(block_thread=lambda: None)

    monkeypatch.setattr(load_app(), 'serving', serving)
    tool = load_tool('demo_app')
    words = ['--config', str(write_run(tmp_path)), '--checkpoint', 'none', '--max-mb', '2', '--max-megapixels', '3']
    tool.main(tool.parse_args([*words, '--allow-host', 'maps.example']))
    assert seen == {
        'host': '127.0.0.1', 'port': 7860, 'allow_hosts': ['maps.example'], 'max_mb': 2, 'max_megapixels': 3,
        'max_seconds': 120, 'max_memory': 6, 'max_disk': 4,
    }  # fmt: skip


@pytest.mark.skipif('gradio' in MISSING, reason='gradio is not installed')
def test_a_taken_port_is_one_line(capsys, tmp_path):
    config = write_run(tmp_path)
    tool = load_tool('demo_app')
    with socket.create_server(('127.0.0.1', 0)) as taken:
        port = str(taken.getsockname()[1])
        args = tool.parse_args(['--config', str(config), '--checkpoint', 'none', '--port', port])
        assert run(tool.main, args) == 2
    assert f'127.0.0.1:{port} cannot be listened on' in capsys.readouterr().err.splitlines()[-1]


def test_without_gradio_one_line_names_the_extra(tmp_path):
    (tmp_path / 'gradio.py').write_text("raise ImportError('No module named gradio')")
    words = ['--config', 'xemap_small_synthetic', '--checkpoint', 'none']
    done = subprocess.run(
        [sys.executable, ROOT / 'tools/deploy/demo_app.py', *words], capture_output=True, text=True, check=False,
        env={**os.environ, 'PYTHONPATH': f'{tmp_path}:{ROOT}'},
    )  # fmt: skip
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert 'pip install xemap[demo]' in done.stderr
