/** Counts what comes of one camera. */
import type { Decoded } from './decoded.ts';

export interface Report {
  readonly frames: number;
  readonly perSecond: number;
  /** Pictures that the stream's times say there should have been. */
  readonly lost: number;
  readonly corrupt: number;
  /** Mean of the last second's pictures, 0 to 255. */
  readonly brightness: number;
  readonly scenes: number;
}

export class Tally {
  #frames = 0;
  #lost = 0;
  #corrupt = 0;
  #scenes = 0;
  #perSecond = 25;
  #last: number | undefined;
  /** Since the last report. */
  #newFrames = 0;
  #newBrightness = 0;

  handle(event: Decoded): void {
    switch (event.kind) {
      case 'rate':
        this.#perSecond = event.perSecond;
        return;
      case 'frame': {
        const steps = this.#last === undefined ? 1 : Math.round((event.seconds - this.#last) * this.#perSecond);
        this.#lost += Math.max(0, steps - 1);
        this.#last = event.seconds;
        this.#frames += 1;
        this.#newFrames += 1;
        this.#newBrightness += event.brightness;
        return;
      }
      case 'scene':
        this.#scenes += 1;
        return;
      case 'corrupt':
        this.#corrupt += 1;
        return;
      case 'problem':
        return;
    }
  }

  /** Another connection has times of its own. */
  begin(): void {
    this.#last = undefined;
  }

  report(seconds: number): Report {
    const [frames, brightness] = [this.#newFrames, this.#newBrightness];
    this.#newFrames = 0;
    this.#newBrightness = 0;
    return {
      frames: this.#frames,
      perSecond: frames / seconds,
      lost: this.#lost,
      corrupt: this.#corrupt,
      brightness: frames === 0 ? 0 : brightness / frames,
      scenes: this.#scenes,
    };
  }
}

export const reportLine = (name: string, report: Report): string =>
  [
    `camera=${JSON.stringify(name)}`,
    `frames=${report.frames}`,
    `fps=${report.perSecond.toFixed(1)}`,
    `lost=${report.lost}`,
    `corrupt=${report.corrupt}`,
    `brightness=${report.brightness.toFixed(0)}`,
    `scenes=${report.scenes}`,
  ].join(' ');
