"""Uses a bucket as a Python program would; ends with an error if anything is not as it should be."""

import os

from google.api_core.exceptions import NotFound, PreconditionFailed
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

client = storage.Client(project="test", credentials=AnonymousCredentials())
bucket = client.bucket("bkt")

# One request, and its checksums.
blob = bucket.blob("dir/ü & 1.txt")
blob.metadata = {"k": "v"}
blob.upload_from_string("hello", content_type="text/plain", checksum="md5", if_generation_match=0)
assert blob.download_as_bytes(checksum="crc32c") == b"hello"
assert blob.download_as_bytes(start=1, end=2) == b"el"
blob.reload()
assert (blob.size, blob.content_type, blob.metadata) == (5, "text/plain", {"k": "v"})

# Chunks of a resumable upload, written and read as files.
data = os.urandom(2_500_000)
large = bucket.blob("large", chunk_size=256 * 1024)
with large.open("wb") as file:
    file.write(data)
with large.open("rb") as file:
    file.seek(1_000_000)
    assert file.read(10) == data[1_000_000:1_000_010]
assert large.download_as_bytes() == data
bucket.blob("empty").upload_from_string(b"")
assert bucket.blob("empty").download_as_bytes() == b""

# Conditions and absence.
try:
    blob.upload_from_string("other", if_generation_match=0)
    raise AssertionError("a precondition was not obeyed")
except PreconditionFailed:
    pass
try:
    bucket.blob("absent").download_as_bytes()
    raise AssertionError("an absent object was downloaded")
except NotFound:
    pass

# Listing.
listing = client.list_blobs("bkt", delimiter="/", page_size=1)
assert [item.name for item in listing] == ["empty", "large"]
assert listing.prefixes == {"dir/"}

# Metadata, copies, compose, removal.
blob.metadata = {"k": "w"}
blob.patch()
assert bucket.get_blob(blob.name).metadata == {"k": "w"}
copy = bucket.copy_blob(blob, bucket, "copy")
renamed = bucket.rename_blob(copy, "renamed")
assert bucket.get_blob("copy") is None
composed = bucket.blob("composed")
composed.compose([renamed, blob])
assert composed.download_as_bytes() == b"hellohello"
rewritten = bucket.blob("rewritten")
assert rewritten.rewrite(composed) == (None, 10, 10)
bucket.delete_blobs(list(client.list_blobs("bkt")))
assert list(client.list_blobs("bkt")) == []

# Buckets.
made = client.create_bucket("made-by-python")
assert made.exists() and "made-by-python" in [each.name for each in client.list_buckets()]
made.delete()
assert not made.exists()

print("ok")
