/** What whoever keeps the register of an overlay's nodes does for those who ask its authority: a directory, or a cluster. */
import type { AnswerBody, OpenedRequest } from '../wire/join-message.ts';

export interface Reply {
  readonly answer: AnswerBody;
  /** One line for the log, without a secret; undefined: nothing happened. */
  readonly told: string | undefined;
}

export interface News {
  /** Changes with what there is for nodes to ask for. */
  readonly mark: string;
  /** Accounts of those who may ask, without the domain. */
  readonly usernames: readonly string[];
}

/** An answer that takes its time: others are answered meanwhile. */
export interface Later {
  readonly later: () => Promise<Reply>;
}

/** Times are seconds since 1970. Asked one thing after the other, never two at once. */
export interface Desk {
  /** Rejects when the register cannot be used: who asks is told to ask again. */
  answer(request: OpenedRequest, now: number): Promise<Reply | Later>;
  /** Whether an account ends when who has it says that it has its answer. Costs little: whoever has an account may say so. */
  awaits(username: string): boolean;
  /** Who has this account has its answer. Gives when there is something to tidy next; undefined: never. */
  confirm(username: string, now: number): Promise<number | undefined>;
  /** Ends the accounts whose time has come; gives when to look again. Rejects when the server is away. */
  tidy(now: number): Promise<number | undefined>;
  news(): News;
}
