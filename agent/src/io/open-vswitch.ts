/**
 * Open vSwitch at the edge: its database, by which it gets bridge and ports, and the bridge's OpenFlow socket. Neither is ever ended
 * or started by us.
 */
import { join } from 'node:path';
import type { NodeConfig } from '../config/node-config.ts';
import type { BridgePorts, EdgeEvent, Tap } from '../edge-switch.ts';
import type { Wanted } from '../ovsdb/wanted.ts';
import type { ControllerAction } from '../sdn/index.ts';
import type { Log } from './log.ts';
import { OpenFlowSocket } from './openflow.ts';
import { datapathType, managementSocket, Ovsdb } from './ovsdb.ts';

export interface OpenVSwitchHandlers {
  event(event: EdgeEvent): void;
  ports(ports: BridgePorts): void;
}

/** Open vSwitch does not do what is wanted of it, and the log says why. */
export class NotReadyError extends Error {}

export class OpenVSwitch {
  readonly #log: Log;
  readonly #ovsdb: Ovsdb;
  readonly #switch: OpenFlowSocket;
  readonly #bridge: Omit<Wanted, 'ports'>;
  #wanted = false;
  /** It was said that the bridge does not answer. */
  #missed = false;
  #stopped = false;
  /** Something of ours is there. */
  #made = false;

  constructor(config: NodeConfig, log: Log, handlers: OpenVSwitchHandlers) {
    this.#log = log;
    const { parameters } = config.overlay;
    this.#bridge = {
      overlay: parameters.overlayId,
      bridge: config.network.bridge,
      datapath: datapathType(),
      mac: config.identity.certificate.mac,
      mtu: parameters.mtu,
    };
    this.#ovsdb = new Ovsdb(
      { socket: join(config.ovs.runDir, 'db.sock') },
      {
        // While the database is away, or nothing is wanted of it yet, there is nothing to know.
        state: ({ connected, inPlace, ports, others }) => {
          this.#made ||= inPlace;
          if (connected && this.#wanted) handlers.ports({ taps: ports, others });
        },
        say: (level, text) => log[level](`ovs: ${text}`),
      },
    );
    this.#switch = new OpenFlowSocket(managementSocket(config.ovs.runDir, config.network.bridge), {
      connected: () => {
        if (this.#missed) log.info(`ovs: bridge ${config.network.bridge} answers again`);
        this.#missed = false;
        handlers.event({ kind: 'connected' });
      },
      message: (message) => handlers.event({ kind: 'message', message }),
      undecodable: (reason) => handlers.event({ kind: 'undecodable', reason }),
      disconnected: () => {
        handlers.event({ kind: 'disconnected' });
        void this.#ask(config.network.bridge);
      },
    });
  }

  get problems(): readonly string[] {
    return this.#ovsdb.state.problems;
  }

  /** Its database answers. */
  get databaseConnected(): boolean {
    return this.#ovsdb.state.connected;
  }

  start(): void {
    this.#ovsdb.start();
    this.#switch.start();
  }

  /** The bridge is there afterwards, with whatever ports it has been given so far. A NotReadyError has been said already. */
  async ready(): Promise<void> {
    this.want();
    try {
      await this.#ovsdb.confirm();
    } catch (error) {
      throw new NotReadyError(error instanceof Error ? error.message : String(error));
    }
  }

  /** From here on the bridge is kept, with no port of ours unless it was given one. */
  want(): void {
    if (!this.#wanted) this.useTaps([]);
  }

  useTaps(ports: readonly Tap[]): void {
    this.#wanted = true;
    this.#ovsdb.want({ ...this.#bridge, ports });
  }

  carryOut(action: ControllerAction): void {
    switch (action.kind) {
      case 'send':
        this.#switch.send([action.message]);
        return;
      case 'close':
        this.#log.warn(`ovs: ${action.reason}`);
        this.#switch.close();
        return;
      case 'log':
        this.#log[action.level](`ovs: ${action.text}`);
        return;
      case 'synced':
        this.#log.debug(`ovs: ${action.flows} flows as wanted`);
        return;
      case 'port':
      case 'port-stats':
        return;
    }
  }

  /** The database does not show when ovs-vswitchd has ended: whoever loses it has to ask. */
  async #ask(bridge: string): Promise<void> {
    if (this.#stopped || !this.#wanted) return;
    this.#missed = true;
    this.#log.warn(
      `ovs: ovs-vswitchd has ended the connection of bridge ${bridge}; it gets its flows again when it is back`,
    );
    try {
      await this.#ovsdb.confirm();
    } catch (error) {
      if (!this.#stopped) this.#log.warn(`ovs: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  /** Open vSwitch goes on as it is. */
  stop(): void {
    this.#stopped = true;
    this.#switch.stop();
    this.#ovsdb.stop();
  }

  /** Takes away what is ours, and stops. */
  async remove(): Promise<void> {
    this.#stopped = true;
    this.#switch.stop();
    try {
      if (this.#made || this.#ovsdb.state.connected) await this.#ovsdb.remove(this.#bridge);
    } catch (error) {
      const { bridge } = this.#bridge;
      const reason = error instanceof Error ? error.message : String(error);
      this.#log.error(`ovs: ${reason}; take it away by: ovs-vsctl del-br ${bridge}`);
    } finally {
      this.#ovsdb.stop();
    }
  }
}
