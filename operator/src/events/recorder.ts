/** Kubernetes Events (events.k8s.io/v1): what `kubectl describe` shows under an object. */
import type { Kind, KubeObject } from '../../../agent/src/kube-api/object.ts';

export interface Note {
  readonly type: 'Normal' | 'Warning';
  /** For machines, in CamelCase: why. */
  readonly reason: string;
  /** For machines, in CamelCase: what was done or tried. */
  readonly action: string;
  /** For people; at most 1,024 bytes are kept. Never a secret. */
  readonly note: string;
}

/** Never throws and never waits: what cannot be written is counted. The same note again is a count, not a second Event. */
export interface Recorder {
  event<T extends KubeObject>(kind: Kind<T>, regarding: T, note: Note): void;
}
