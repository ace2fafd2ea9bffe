/**
 * `make bench`: Evio and its peers side by side in network namespaces, interleaved; test/bench/RESULTS.md and results/bench.json.
 *
 *   node test/bench/main.ts [--list]      in the environment: ONLY=tcp,rtt   PEERS=veth,evio   ROUNDS=5
 *                                        SECONDS_EACH=4 (of a flow)
 *
 * A run of some benches keeps what results/bench.json has of the others, as far as it was measured on this machine.
 */

// Namespaces of their own names, also while a demo is up.
process.env.EVIO_DEMO_PREFIX ??= 'evio-bench-';
await import('./run.ts');

export {};
