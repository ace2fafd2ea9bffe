/**
 * `make test-scale`: 32 real nodes, 16 of them behind NATs, one Prosody with Debian's throttles, coturn; full mesh off;
 * results/scale.json (docs/scale.md).
 *
 *   node test/scale32/main.ts [--seconds 60] [--hold] [--join N [--hot]]     KEEP=1 leaves the network up
 *
 * `--seconds` of the measurement of idle traffic; `--hold` waits for a line of input before the first agent starts; `--join` looks
 * at nothing but how N of the nodes (4 to 32) join, and what that costs, with `--hot` and at three hot pairs: results/scale-join.json.
 */

// Namespaces of their own names, also while a demo is up.
process.env.EVIO_DEMO_PREFIX ??= 'evio-scale-';
await import('./run.ts');

export {};
