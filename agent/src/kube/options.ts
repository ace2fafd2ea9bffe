/** What an agent of a cluster is told at its start. */
export interface KubernetesOptions {
  /** Of the Node. */
  readonly nodeName: string;
  /** `https://HOST:PORT`, at least one. */
  readonly apiServers: readonly string[];
  /** With `token` and `ca.crt`. */
  readonly serviceAccountDir: string;
  /** Of the Lease that tells that the agent lives. */
  readonly namespace: string;
  /** Keys, enrolment. */
  readonly stateDir: string;
  /** What the node remembers of its peers. */
  readonly nodeStateDir: string;
  /** Sockets, tincan's among them. */
  readonly runDir: string;
  readonly cni: {
    readonly confDir: string;
    readonly binDir: string;
    readonly dataDir: string;
    /** The plugin as shipped. */
    readonly plugin: string;
  };
  /** On the loopback address; 0: none. */
  readonly healthPort: number;
  /** Of the metrics at the node's overlay addresses; 0: only beside the probes. */
  readonly metricsPort: number;
  readonly logLevel: 'error' | 'warn' | 'info' | 'debug';
  readonly logFormat: 'text' | 'json';
  readonly switch: 'tincan' | 'ovs';
}
