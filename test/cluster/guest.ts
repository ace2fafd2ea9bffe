/**
 * A machine that is no part of the cluster: a root of its own with a real systemd, behind a NAT of its own, on which the Debian package is
 * installed; and, where it is to become a node, what a kubelet needs, with units as kubeadm has them. Nothing of it is started.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import type { Machine } from '../e2e/systemd/machine.ts';
import { lowerOf, PackageMachine } from '../package/machines.ts';
import { must, PREFIX, STATE } from './kube.ts';

export interface GuestSetting {
  /** A word of NODES (hack/cluster/lib.sh). */
  readonly place: string;
  /** Path of the Debian package. */
  readonly deb: string;
  /** To become a node; `images`: archives that its containers are made of, besides those of every node. */
  readonly kubernetes?: { readonly cloudProvider: 'external' | 'none'; readonly images: readonly string[] };
}

const CGROUP_FS = '/sys/fs/cgroup';
const PROGRAMS = '/mnt/kubernetes';
const FILES = '/mnt/packages';

export class Guest {
  readonly name: string;
  readonly #host: PackageMachine;
  readonly #deb: string;
  #ended = false;

  private constructor(name: string, host: PackageMachine, deb: string) {
    this.name = name;
    this.#host = host;
    this.#deb = deb;
  }

  get machine(): Machine {
    return this.#host.machine;
  }

  static async boot({ place, deb, kubernetes }: GuestSetting): Promise<Guest> {
    await must('guest', [place]);
    const name = place.split(':')[0] ?? place;
    const folder = join(STATE, name);
    const files = kubernetes === undefined ? [] : kubernetesFiles(name, folder, kubernetes.cloudProvider);
    const disk = (path: string): Record<string, string> => ({ [join(folder, 'disk', path)]: path });
    const host = await PackageMachine.boot(`${PREFIX}${name}`, {
      lower: lowerOf('here'),
      files: [deb, ...files, ...(kubernetes?.images ?? [])],
      host: {
        name,
        folders: {
          ...disk('/var/lib/containerd'),
          ...disk('/var/lib/kubelet'),
          [realpathSync('.cache/cluster/bin')]: PROGRAMS,
        },
        cgroups: cgroupsOf(name),
      },
    });
    const guest = new Guest(name, host, deb);
    await guest.#unmount();
    if (kubernetes !== undefined) await guest.#prepare(kubernetes.images);
    return guest;
  }

  /** systemd mounts every hierarchy there is; in these a kubelet would leave groups behind that nobody else sees. */
  async #unmount(): Promise<void> {
    for (const one of ['hugetlb', 'net_cls', 'net_prio', 'perf_event'])
      await this.machine.run('umount', join(CGROUP_FS, one));
  }

  /** Loses its power and boots again: of what it had in memory, interfaces and /run nothing is left. */
  async cycle(): Promise<void> {
    await this.#host.cycle(() => must('guest', [this.name, 'unplug']));
    await this.#unmount();
  }

  /** As on a machine where somebody has installed containerd and kubeadm's packages, and nothing was started but containerd. */
  async #prepare(images: readonly string[]): Promise<void> {
    await this.machine.ok('sh', '-ec', PREPARE);
    await this.machine.ok('systemctl', 'enable', '--now', 'containerd');
    for (const image of images)
      await this.machine.ok('ctr', '-n', 'k8s.io', 'images', 'import', join(FILES, basename(image)));
  }

  /** Without a network of Debian's: it needs none. */
  install(): Promise<string> {
    return this.machine.ok('dpkg', '--install', join(FILES, basename(this.#deb)));
  }

  /** Files that Evio has made or changed, by what the machine has written since it booted. */
  traces(): readonly string[] {
    return this.#host
      .files()
      .filter(
        (line) => /evio|\/etc\/default\/kubelet|\.wants\//.test(line) && !/kubelet\.service|containerd/.test(line),
      );
  }

  /** What it says of itself when something did not come. */
  async words(): Promise<string> {
    const said = await this.machine.run('journalctl', '--no-pager', '-o', 'short-monotonic', '-n', '60');
    return said.stdout + said.stderr;
  }

  /** May be repeated. */
  async end(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    await this.#host.end();
    await must('guest', [this.name, 'off']);
  }
}

/** Of every hierarchy one, which `guest` has made. */
function cgroupsOf(name: string): readonly string[] {
  const own = join(PREFIX.slice(0, -1), name);
  if (existsSync(join(CGROUP_FS, 'cgroup.controllers'))) return [join(CGROUP_FS, own)];
  const hierarchies = readdirSync(CGROUP_FS).map((one) => realpathSync(join(CGROUP_FS, one)));
  const made = [...new Set(hierarchies)].map((one) => join(one, own)).filter((one) => existsSync(one));
  // systemd has groups there too, where there is one.
  const unified = join(CGROUP_FS, 'unified');
  return existsSync(join(unified, 'cgroup.procs')) ? [...made, join(unified, own)] : made;
}

/** As hack/cluster tells them to its own nodes, with the paths that kubeadm has. */
function kubernetesFiles(name: string, folder: string, cloudProvider: 'external' | 'none'): readonly string[] {
  const pki = join(STATE, 'pki');
  const read = (path: string): string => readFileSync(path, 'utf8');
  const texts: Readonly<Record<string, string>> = {
    'config.toml': read(join(folder, 'containerd.toml')),
    'config.yaml': read(join(folder, 'kubelet.yaml'))
      .replace(join(pki, 'ca.crt'), '/etc/kubernetes/pki/ca.crt')
      .replace(/^cgroupRoot: .*$/m, 'cgroupRoot: /'),
    'kubelet.conf': read(join(pki, `node-${name}.conf`)),
    'kube-proxy.conf': read(join(pki, 'kube-proxy.conf')),
    'ca.crt': read(join(pki, 'ca.crt')),
    'kube-proxy.yaml': read(join(folder, 'kube-proxy.yaml')).replace(
      join(pki, 'kube-proxy.conf'),
      '/etc/kubernetes/kube-proxy.conf',
    ),
    'kubelet.service': kubeletUnit(name, cloudProvider),
    'kube-proxy.service': KUBE_PROXY_UNIT,
  };
  const to = resolve(folder, 'files');
  mkdirSync(to, { recursive: true });
  return Object.entries(texts).map(([file, text]) => {
    writeFileSync(join(to, file), text, { mode: 0o600 });
    return join(to, file);
  });
}

/** What kubeadm's package and its drop-in say together; the name is what `kubeadm join --node-name` gives. */
const kubeletUnit = (name: string, cloudProvider: 'external' | 'none'): string => `[Unit]
Description=kubelet
Wants=network-online.target kube-proxy.service
After=network-online.target
StartLimitIntervalSec=0
[Service]
Environment="KUBELET_KUBECONFIG_ARGS=--kubeconfig=/etc/kubernetes/kubelet.conf"
Environment="KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml"
Environment="KUBELET_KUBEADM_ARGS=--hostname-override=${name}${cloudProvider === 'external' ? ' --cloud-provider=external' : ''}"
EnvironmentFile=-/etc/default/kubelet
ExecStart=/usr/bin/kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS
Restart=always
RestartSec=10
[Install]
WantedBy=multi-user.target
`;

/** kubeadm has it in a DaemonSet. */
const KUBE_PROXY_UNIT = `[Unit]
Description=kube-proxy
[Service]
ExecStart=/usr/bin/kube-proxy --config=/etc/kubernetes/kube-proxy.yaml
Restart=always
RestartSec=1
`;

const PREPARE = `
rm -rf /etc/cni /opt/cni /var/lib/cni /etc/kubernetes /etc/default/kubelet
mkdir -p /etc/cni/net.d /opt/cni/bin /etc/kubernetes/pki /etc/containerd
cp /usr/lib/cni/* /opt/cni/bin/
for program in kubelet kube-proxy; do ln -s ${PROGRAMS}/hyper /usr/bin/$program; done
cd ${FILES}
install -m 644 config.toml /etc/containerd/
install -m 600 config.yaml /var/lib/kubelet/
install -m 600 kubelet.conf kube-proxy.conf kube-proxy.yaml /etc/kubernetes/
install -m 644 ca.crt /etc/kubernetes/pki/
install -m 644 kubelet.service kube-proxy.service /etc/systemd/system/
rm -f /etc/resolv.conf
: >/etc/resolv.conf
systemctl daemon-reload
`;

/** The line that `evio token create` prints, made where the administrator is: on the control plane. */
export async function tokenFor(...more: readonly string[]): Promise<string> {
  const kubeconfig = join(STATE, 'pki/admin.conf');
  const args = ['token', 'create', '--network', 'default', '--kubeconfig', kubeconfig, ...more];
  return (await must('nx', ['cp', resolve('dist/evio'), ...args])).trim();
}
