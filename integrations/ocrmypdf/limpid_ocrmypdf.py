"""OCRmyPDF plugin: the image that is recognised, and on request the page of the PDF, is cleaned by a Limpid service.

    ocrmypdf --plugin integrations/ocrmypdf/limpid_ocrmypdf.py --limpid-url http://127.0.0.1:8080 scan.pdf out.pdf

By default only the picture that OCR sees is cleaned, and the pages stay as they were scanned; `--limpid-pages` replaces them,
too. A service that cannot be reached is an error: a run without cleaning would look as if it had worked.
"""
import io
import os
import urllib.error
import urllib.request

from ocrmypdf import hookimpl
from ocrmypdf.exceptions import ExitCodeException
from PIL import Image


class LimpidError(ExitCodeException):
    exit_code = 7


@hookimpl
def add_options(parser):
    group = parser.add_argument_group("Limpid", "Cleaning of pages by a Limpid service")
    group.add_argument("--limpid-url", default=os.environ.get("LIMPID_URL", "http://127.0.0.1:8080"),
                       help="address of the service")
    group.add_argument("--limpid-model", default="document", help="model, NAME or NAME@VERSION")
    group.add_argument("--limpid-pages", action="store_true", help="clean the pages of the PDF, too")


def clean(image_bytes, options):
    """Return the cleaned bytes of an image file, as PNG."""
    request = urllib.request.Request(
        f"{options.limpid_url}/denoise?format=png&model={options.limpid_model}",
        data=image_bytes, headers={"Content-Type": "application/octet-stream"})
    if key := os.environ.get("LIMPID_KEY"):
        request.add_header("Authorization", f"Bearer {key}")
    try:
        with urllib.request.urlopen(request, timeout=300) as reply:
            return reply.read()
    except urllib.error.HTTPError as error:
        raise LimpidError(f"Limpid refused a page: {error.read().decode(errors='replace')}") from error
    except OSError as error:
        raise LimpidError(f"no Limpid at {options.limpid_url}: {error}") from error


@hookimpl
def filter_ocr_image(page, image):
    """Clean the picture that OCR sees."""
    if page.options.limpid_pages:
        # The page itself was cleaned already.
        return image
    dpi = image.info.get("dpi", (300, 300))
    file = io.BytesIO()
    (image.convert("L") if image.mode in ("1", "P") else image).save(file, "PNG", dpi=dpi)
    cleaned = Image.open(io.BytesIO(clean(file.getvalue(), page.options)))
    cleaned.load()
    cleaned.info["dpi"] = dpi
    return cleaned


@hookimpl
def filter_page_image(page, image_filename):
    """Clean the picture of the page itself, if asked to."""
    if not page.options.limpid_pages:
        return image_filename
    with Image.open(image_filename) as image:
        dpi = image.info.get("dpi", (300, 300))
    target = image_filename.with_suffix(".limpid.png")
    with Image.open(io.BytesIO(clean(image_filename.read_bytes(), page.options))) as image:
        image.save(target, "PNG", dpi=dpi)
    return target
