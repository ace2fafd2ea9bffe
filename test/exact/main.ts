/**
 * `make test-exact`: what goes through Evio arrives exactly, byte for byte, once and in order; results/exact.json.
 *
 *   node test/exact/main.ts [--short] [--only NAME[,NAME]] [--list]
 *
 * `--short` is what `make test` runs: 1 GB in all instead of 10, fewer combinations, and a datagram in a thousand may be lost.
 */

// Namespaces of their own names, also while a demo is up.
process.env.EVIO_DEMO_PREFIX ??= 'evio-exact-';
await import('./run.ts');

export {};
