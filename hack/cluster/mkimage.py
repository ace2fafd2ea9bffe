#!/usr/bin/env python3
"""Makes a container image archive (docker-archive) of a folder: mkimage.py OUT.tar NAME:TAG[,NAME:TAG...] FOLDER -- ENTRYPOINT ARG...

What a pod gives as its `args` takes the place of the ARGs. The same folder gives the same bytes.
Import it with: ctr -n k8s.io images import OUT.tar
"""

import hashlib
import io
import json
import platform
import sys
import tarfile

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

args = sys.argv[1:]
if len(args) < 5 or args[3] != "--":
    sys.exit(__doc__.splitlines()[0])
out, names, folder, entrypoint, command = args[0], args[1], args[2], args[4], args[5:]


def plain(entry):
    """No owners, no times."""
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = "root"
    return entry


layer = io.BytesIO()
with tarfile.open(fileobj=layer, mode="w") as tar:
    tar.add(folder, arcname=".", filter=plain)
layer = layer.getvalue()
config = json.dumps(
    {
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine()),
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {"Env": [PATH], "Entrypoint": [entrypoint], "Cmd": command, "WorkingDir": "/"},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "mkimage.py"}],
    }
).encode()
config_name = hashlib.sha256(config).hexdigest() + ".json"
manifest = json.dumps([{"Config": config_name, "RepoTags": names.split(","), "Layers": ["layer.tar"]}]).encode()

with tarfile.open(out, "w") as tar:
    for name, data in (("manifest.json", manifest), (config_name, config), ("layer.tar", layer)):
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = len(data), 0o644
        tar.addfile(entry, io.BytesIO(data))
