/** The configuration of a node as the agent uses it: checked, defaults filled in, secrets read. */

import type { Certificate } from '../wire/certificate.ts';
import type { Parameters, Topology } from '../wire/parameters.ts';
import type { Revocations } from '../wire/revocations.ts';
import type { Secret } from './secret.ts';
import type { Service } from './service.ts';

export interface NodeConfig {
  /** Absolute path of the node file. */
  readonly file: string;
  readonly name: string;
  readonly overlay: {
    /** Verified; `bytes` is the signed object. */
    readonly parameters: Parameters;
    /** Verified; undefined: none was given. */
    readonly revocations: Revocations | undefined;
  };
  readonly identity: {
    /** Ed25519 seed, 32 bytes (RFC 8032 §5.1.5). */
    readonly seed: Secret<Uint8Array>;
    /** X25519 private key, 32 bytes. */
    readonly sessionKey: Secret<Uint8Array>;
    /** Verified against the parameters and both keys; `bytes` is the signed object. */
    readonly certificate: Certificate;
  };
  readonly signalling: {
    readonly service: Service;
    readonly domain: string;
    readonly username: string;
    readonly password: Secret<string>;
    /** PEM; undefined: Node's own list of authorities. */
    readonly ca: string | undefined;
    /** Bare JID of the room. */
    readonly room: string;
  };
  readonly ice: {
    /** "host:port", "[v6]:port". */
    readonly stun: readonly string[];
    readonly turn: 'xep-0215' | 'none';
  };
  readonly network: {
    readonly bridge: string;
    readonly tap: string;
    /** 0: derived from the label. */
    readonly udpPort: number;
    readonly lan: boolean;
    readonly excludeInterfaces: readonly string[];
    readonly excludeRoutes: readonly string[];
  };
  readonly switch: 'tincan' | 'ovs';
  readonly ovs: {
    readonly runDir: string;
    readonly tapPrefix: string;
  };
  /** Undefined: no pods behind this node. */
  readonly pods:
    | {
        /** Prefixes reached without masquerading, besides the overlay's subnets and the node's own. */
        readonly overlayCIDRs: readonly string[];
        readonly hostInterfacePrefix: string;
      }
    | undefined;
  /** The overlay's signed topology with this node's own overrides. */
  readonly topology: Topology & {
    /** Node names or node ids. */
    readonly static: readonly string[];
  };
  readonly runDir: string;
  readonly stateDir: string;
  /** `port`: of /metrics on 127.0.0.1; 0: none. */
  readonly metrics: { readonly port: number };
  readonly log: { readonly level: 'error' | 'warn' | 'info' | 'debug'; readonly format: 'text' | 'json' };
}
