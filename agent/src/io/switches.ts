/** The switches of this node, asked from beside their controllers: their flows for people, and the way in for the frames of a trace. */
import type { Flows, TraceLookup } from '../api.ts';
import { TAP_PORT } from '../sdn/index.ts';
import { type Echo, echoFields, type LookedUp, lookUp } from '../sdn/lookup.ts';
import { PORT } from '../sdn/openflow/index.ts';
import { flowLines, lookupOf } from '../trace/flows.ts';
import { SwitchClient, SwitchError } from './switch-client.ts';

export interface SwitchPlace {
  readonly name: 'tincan' | 'ovs';
  /** As people call it. */
  readonly text: string;
  readonly socket: string;
}

export async function flowsOf({ name, text, socket }: SwitchPlace): Promise<Flows['switches'][number]> {
  try {
    const client = await SwitchClient.open(text, socket);
    try {
      return { name, flows: flowLines(await client.flows()), error: null };
    } finally {
      client.close();
    }
  } catch (error) {
    if (!(error instanceof SwitchError)) throw error;
    return { name, flows: [], error: error.message };
  }
}

interface Opened {
  readonly place: SwitchPlace;
  readonly client: SwitchClient;
  /** What a frame of the trace meets in its tables. */
  readonly met: readonly LookedUp[];
}

/** The port by which frames of this node itself enter. */
const inPortOf = ({ name }: SwitchPlace): number => (name === 'ovs' ? PORT.local : TAP_PORT);

/** All switches for the time of one trace. */
export class TraceEdge {
  readonly #edge: SwitchPlace | undefined;
  readonly #opened: readonly Opened[];
  /** Why the edge cannot be reached. */
  readonly #away: string | undefined;

  private constructor(edge: SwitchPlace | undefined, opened: readonly Opened[], away: string | undefined) {
    this.#edge = edge;
    this.#opened = opened;
    this.#away = away;
  }

  /** @param places the edge first: that is where a frame of this node begins */
  static async open(places: readonly SwitchPlace[], echo: Omit<Echo, 'inPort'>): Promise<TraceEdge> {
    const opened: Opened[] = [];
    let away: string | undefined;
    for (const place of places)
      try {
        const client = await SwitchClient.open(place.text, place.socket);
        try {
          const fields = echoFields({ ...echo, inPort: inPortOf(place) });
          opened.push({ place, client, met: lookUp(await client.flows(), fields) });
        } catch (error) {
          client.close();
          throw error;
        }
      } catch (error) {
        if (!(error instanceof SwitchError)) throw error;
        if (place === places[0]) away = error.message;
      }
    return new TraceEdge(places[0], opened, away);
  }

  /** Why frames cannot be sent, or were refused; in one line. */
  get refused(): string | undefined {
    return this.#away ?? this.#first?.client.refused;
  }

  send(frame: Buffer): void {
    const first = this.#first;
    if (first !== undefined) first.client.send(frame, inPortOf(first.place));
  }

  /** The flows that were met, with what they have counted since. */
  lookups(): Promise<readonly TraceLookup[]> {
    return Promise.all(
      this.#opened.map(async ({ place, client, met }) =>
        lookupOf(place.name, met, await client.flows().catch(() => [])),
      ),
    );
  }

  close(): void {
    for (const { client } of this.#opened) client.close();
  }

  get #first(): Opened | undefined {
    return this.#opened.find(({ place }) => place === this.#edge);
  }
}
