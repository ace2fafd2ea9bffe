/** Fields of log lines, with what they mean: docs/logs.md is made of this. */

/** Of every line of agent, operator and authority with `format: "json"`. As text a line has the first three, without names. */
export const LOG_FIELDS = {
  timestamp: 'When, by the clock of the machine: RFC 3339 in UTC, with milliseconds.',
  level: '`error`, `warn`, `info` or `debug`.',
  message: 'One sentence for people, on one line; not made to be taken apart.',
  component: '`agent`, `operator` or `authority`.',
  node: "The node's name; of agents.",
  overlay: "The overlay's name; of agents with a node file.",
} as const;
export type LogField = keyof typeof LOG_FIELDS;

/** What stands in every line of one process, besides what the line itself says. */
export type LogIdentity = { readonly component: 'agent' | 'operator' | 'authority' } & {
  readonly [field in 'node' | 'overlay']?: string;
};

/** Keys of tincan's lines, which are `timestamp level message key=value ...`; values with spaces are quoted. */
export const TINCAN_FIELDS: Readonly<Record<string, string>> = {
  again: 'How often the same has happened since it was last said.',
  because: 'The setting that asks for it.',
  bootId: 'Of this run of tincan, in hex: peers tell by it that keys are new.',
  by: 'Who asked for the end.',
  bytes: 'Length of a record.',
  cipher: "The session's cipher.",
  client: 'The name that a client of the control socket gives itself.',
  did: 'What tincan did to put it right.',
  dropped: 'Frames that waited for a session that did not come.',
  error: "The system's words.",
  file: 'A path.',
  kind: 'The kind of problem, as `evio status` tells it.',
  label: "A node's place on the ring, 16 hex digits.",
  message: 'What the code that ended says of itself.',
  names: 'Interfaces, with commas between.',
  newBoot: 'Whether the peer has started anew since the last session.',
  node: "This node's id, 32 hex digits.",
  path: '`direct` or `webrtc`.',
  peer: "The other node's label, 16 hex digits: `evio peers -o json` has ids, which begin with it.",
  pid: "tincan's process.",
  ports: 'How many.',
  place: 'File and line.',
  port: "The tunnel's port of the switch; with `configured`: tincan's UDP port.",
  reason: 'Why, in words.',
  recordSize: 'The largest record that the way takes, in bytes.',
  remote: "The peer's address and port on this way.",
  renewed: 'Whether a session that stood was renewed.',
  runDir: 'The run directory.',
  setting: 'A name as in sysctl(8).',
  signal: 'Its number.',
  size: "The route's largest record, in bytes.",
  sockets: 'Which of them.',
  tap: 'A network interface.',
  text: 'The problem, in words.',
};
