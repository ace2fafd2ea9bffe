/** `make test-diagnosis`: faults are injected, and `evio netcheck` or `evio status` has to name the cause. See docs/diagnosis.md. */

// Its namespaces stand beside those of a demo; read when the demo's parts are loaded.
process.env.EVIO_DEMO_PREFIX ??= 'evio-diag-';
await import('./run.ts');
