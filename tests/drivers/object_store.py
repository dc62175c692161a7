"""An S3 server of this machine, spoken to as the real one is."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest


@contextmanager
def object_store(folder: Path) -> Iterator[str]:
    """The URL of a bucket, whose objects are files below a folder. Keys and endpoint are in the environment meanwhile."""
    from localbucket import S3Handler

    (folder / "wide").mkdir(parents=True)

    class Handler(S3Handler):  # type: ignore[misc]
        data_root = folder

        def log_message(self, *_: object) -> None:
            """Keeps silent."""

        def do_PUT(self) -> None:
            """As S3 does, takes a name that ends in a slash, which Arrow leaves for an emptied folder: here a folder is there."""
            if not self.path.partition("?")[0].endswith("/"):
                super().do_PUT()
                return
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_address[1]}",
        }.items():
            patch.setenv(name, value)
        thread.start()
        try:
            yield "s3://wide"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()
