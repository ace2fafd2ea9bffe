/**
 * An archive of OCI images (image-spec 1.1: oci-layout, index.json, blobs/), as `ctr images import`, `podman load` and `skopeo` read it.
 * Layers that several images share are in it once. `manifest.json` is for `docker load` of before containerd's store.
 */

import { createHash } from 'node:crypto';
import {
  copyFileSync,
  createReadStream,
  linkSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Image } from './images.ts';
import { tar } from './tree.ts';

export interface BuiltImage {
  readonly image: Image;
  /** `localhost/evio/agent:0.1.0` */
  readonly reference: string;
  readonly version: string;
  /** Paths of tar files, the lowest first. */
  readonly layers: readonly string[];
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

/** What the image-spec calls this machine. */
export const ARCHITECTURE = ({ x64: 'amd64', arm64: 'arm64' } as Readonly<Record<string, string>>)[process.arch];

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export function imageConfig(image: Image, version: string, layerDigests: readonly string[]): unknown {
  return {
    architecture: ARCHITECTURE,
    os: 'linux',
    config: {
      User: image.user,
      Env: [`PATH=${PATH}`, ...Object.entries(image.env).map(([name, value]) => `${name}=${value}`)],
      Entrypoint: image.entrypoint,
      ...(image.cmd.length > 0 ? { Cmd: image.cmd } : {}),
      WorkingDir: '/',
      ...(image.stopSignal === undefined ? {} : { StopSignal: image.stopSignal }),
      Labels: {
        'org.opencontainers.image.title': image.title,
        'org.opencontainers.image.version': version,
        'org.opencontainers.image.licenses': 'MIT',
      },
    },
    rootfs: { type: 'layers', diff_ids: layerDigests },
  };
}

class Blobs {
  readonly #folder: string;
  readonly #files = new Map<string, Descriptor>();

  constructor(root: string) {
    this.#folder = join(root, 'blobs/sha256');
    mkdirSync(this.#folder, { recursive: true });
  }

  json(mediaType: string, value: unknown): Descriptor {
    const bytes = Buffer.from(JSON.stringify(value));
    const digest = createHash('sha256').update(bytes).digest('hex');
    writeFileSync(join(this.#folder, digest), bytes);
    return { mediaType, digest: `sha256:${digest}`, size: bytes.length };
  }

  async file(mediaType: string, path: string): Promise<Descriptor> {
    const known = this.#files.get(path);
    if (known !== undefined) return known;
    const hash = createHash('sha256');
    await pipeline(createReadStream(path), hash);
    const digest = hash.digest('hex');
    const to = join(this.#folder, digest);
    try {
      linkSync(path, to);
    } catch {
      copyFileSync(path, to);
    }
    const descriptor = { mediaType, digest: `sha256:${digest}`, size: statSync(path).size };
    this.#files.set(path, descriptor);
    return descriptor;
  }
}

export interface Archived {
  readonly reference: string;
  /** Of the manifest: what `image@sha256:` would name. */
  readonly digest: string;
  readonly bytes: number;
}

/** Writes all of them as one archive. */
export async function writeArchive(to: string, images: readonly BuiltImage[]): Promise<readonly Archived[]> {
  mkdirSync(dirname(to), { recursive: true });
  const root = mkdtempSync(`${to}-`);
  try {
    const blobs = new Blobs(root);
    const manifests: unknown[] = [];
    const forDocker: unknown[] = [];
    const done: Archived[] = [];
    for (const { image, reference, version, layers } of images) {
      const parts: Descriptor[] = [];
      for (const layer of layers) parts.push(await blobs.file('application/vnd.oci.image.layer.v1.tar', layer));
      // The layers are not compressed, so that a blob's digest is the diff id too.
      const digests = parts.map((part) => part.digest);
      const config = blobs.json('application/vnd.oci.image.config.v1+json', imageConfig(image, version, digests));
      const mediaType = 'application/vnd.oci.image.manifest.v1+json';
      const manifest = blobs.json(mediaType, { schemaVersion: 2, mediaType, config, layers: parts });
      manifests.push({
        ...manifest,
        platform: { architecture: ARCHITECTURE, os: 'linux' },
        annotations: {
          'io.containerd.image.name': reference,
          'org.opencontainers.image.ref.name': reference.slice(reference.lastIndexOf(':') + 1),
        },
      });
      const blob = ({ digest }: Descriptor): string => `blobs/${digest.replace(':', '/')}`;
      forDocker.push({ Config: blob(config), RepoTags: [reference], Layers: parts.map(blob) });
      done.push({ reference, digest: manifest.digest, bytes: parts.reduce((sum, part) => sum + part.size, 0) });
    }
    const write = (name: string, value: unknown): void => writeFileSync(join(root, name), JSON.stringify(value));
    write('oci-layout', { imageLayoutVersion: '1.0.0' });
    write('index.json', { schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests });
    write('manifest.json', forDocker);
    tar(`${to}.new`, root, ['oci-layout', 'index.json', 'manifest.json', 'blobs']);
    renameSync(`${to}.new`, to);
    return done;
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}
