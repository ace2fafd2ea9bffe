/** What the agent writes on a tunnel in tincan, so that its next life knows why the tunnel is there. */
import type { EdgeKind } from '../api.ts';
import { EDGE_KINDS } from './kinds.ts';

export interface Note {
  readonly mine: readonly EdgeKind[];
  readonly theirs: readonly EdgeKind[];
}

export function formatNote(note: Note): string {
  return JSON.stringify({ mine: note.mine, theirs: note.theirs });
}

/** An unreadable note is an empty one: the tunnel stays until both sides have said what they want. */
export function parseNote(text: string): Note {
  try {
    const value: unknown = JSON.parse(text);
    const { mine, theirs } = (value ?? {}) as Record<string, unknown>;
    return { mine: kinds(mine), theirs: kinds(theirs) };
  } catch {
    return { mine: [], theirs: [] };
  }
}

function kinds(value: unknown): readonly EdgeKind[] {
  return Array.isArray(value) ? EDGE_KINDS.filter((kind) => value.includes(kind)) : [];
}
