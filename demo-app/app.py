"""A small web application that keeps uploaded files in a folder.

It is the kind of program sidemount exists for: it knows files and nothing else. It writes each
upload with one plain save() into `uploads/` beside this file and serves it back from there. Whether
that folder is a local disk or a mounted bucket cannot be told from anything in here.

    gunicorn app:app --bind 127.0.0.1:5000
"""

import heapq
import logging
import os
import time
import unicodedata
from typing import NamedTuple

from flask import Flask, redirect, render_template, request, send_from_directory, url_for
from werkzeug.middleware.proxy_fix import ProxyFix

ALLOWED_EXTENSIONS = ("txt", "pdf", "png", "jpg", "jpeg", "gif")
IMAGE_EXTENSIONS = ("png", "jpg", "jpeg", "gif")

# What one component of a path may be long on Linux, in bytes.
NAME_BYTES_MAX = 255

# How many of the newest files the front page shows.
RECENT_COUNT = 24

app = Flask(__name__)
app.config["UPLOAD_FOLDER"] = os.path.join(os.path.dirname(os.path.realpath(__file__)), "uploads")
app.config.from_prefixed_env()  # FLASK_UPLOAD_FOLDER, as for any Flask setting
app.logger.setLevel(logging.INFO)

# One web server stands in front: believe what it says about the address the visitor used.
app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1, x_host=1)


class Upload(NamedTuple):
    """A file on the front page. Tuples compare by their first field, so the newest is the largest."""

    modified: float
    name: str
    size: int

    @property
    def extension(self) -> str:
        return extension_of(self.name)

    @property
    def is_image(self) -> bool:
        return self.extension in IMAGE_EXTENSIONS


def extension_of(name: str) -> str:
    """The last extension in lower case without its dot; empty when there is none."""
    stem, dot, extension = name.rpartition(".")
    return extension.lower() if stem and dot else ""


def clean_name(name: str) -> str:
    """What an upload is called on disk: the name the visitor gave it, as far as that is safe.

    Spaces, quotes, `#?%+&` and every script stay. Folders in front, control characters and leading
    dots go, and what is longer than a name may be loses the end of its stem, not its extension.
    The result is empty if nothing is left.
    """
    name = name.replace("\\", "/").rpartition("/")[2]
    name = "".join(c for c in name if unicodedata.category(c) not in ("Cc", "Cs"))
    name = name.strip().lstrip(". ")

    excess = len(name.encode()) - NAME_BYTES_MAX
    if excess > 0:
        stem, dot, extension = name.rpartition(".")
        if not stem or len(extension.encode()) > 16:
            stem, dot, extension = name, "", ""
        # The cut may fall inside a character; what remains of that one is dropped too.
        stem = stem.encode()[: NAME_BYTES_MAX - len((dot + extension).encode())].decode(errors="ignore")
        name = stem.rstrip() + dot + extension
    return name


def recent_uploads() -> tuple[list[Upload], int]:
    """The newest files, and how many there are."""
    uploads = []
    try:
        with os.scandir(app.config["UPLOAD_FOLDER"]) as entries:
            for entry in entries:
                try:
                    if entry.name.startswith(".") or not entry.is_file():
                        continue
                    status = entry.stat()
                except FileNotFoundError:
                    continue  # removed since the folder was read
                uploads.append(Upload(status.st_mtime, entry.name, status.st_size))
    except FileNotFoundError:
        pass  # nobody has uploaded anything yet
    return heapq.nlargest(RECENT_COUNT, uploads), len(uploads)


def front_page(message: str = "", status: int = 200):
    uploads, total = recent_uploads()
    page = render_template(
        "index.html", message=message, uploads=uploads, total=total, extensions=ALLOWED_EXTENSIONS
    )
    return page, status


@app.get("/")
def index():
    return front_page()


@app.post("/")
def upload():
    file = request.files.get("file")
    if file is None:
        return front_page("The form came without a file: the field is called “file”.", 400)
    if not file.filename:
        return front_page("Choose a file first.", 400)

    name = clean_name(file.filename)
    if extension_of(name) not in ALLOWED_EXTENSIONS:
        kinds = ", ".join(ALLOWED_EXTENSIONS)
        return front_page(f"“{name or file.filename}” was not saved. Allowed kinds are {kinds}.")

    folder = app.config["UPLOAD_FOLDER"]
    path = os.path.join(folder, name)
    os.makedirs(folder, exist_ok=True)
    app.logger.info('Saving uploaded file "%s" to "%s"', name, path)
    file.save(path)
    return redirect(url_for("uploaded", filename=name, _external=True))


@app.get("/uploads/<path:filename>")
def uploaded(filename: str):
    return send_from_directory(app.config["UPLOAD_FOLDER"], filename)


@app.errorhandler(OSError)
def storage_failed(error: OSError):
    """The folder refused: the visitor must never be told that a file is safe when it is not."""
    app.logger.exception("The upload folder failed")
    message = f"Storage trouble, nothing was confirmed as saved: {error.strerror or error}."
    return render_template(
        "index.html", message=message, uploads=[], total=0, extensions=ALLOWED_EXTENSIONS
    ), 500


@app.template_filter("bytes")
def readable_bytes(count: int) -> str:
    if count < 1024:
        return f"{count} B"
    size = float(count)
    for unit in ("KiB", "MiB", "GiB"):
        size /= 1024
        if size < 1000:
            break
    return f"{size:.1f} {unit}" if size < 10 else f"{size:.0f} {unit}"


@app.template_filter("ago")
def readable_age(moment: float) -> str:
    seconds = time.time() - moment
    for length, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        count = int(seconds // length)
        if count >= 1:
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"
