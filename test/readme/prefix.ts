/** Imported before what reads it: the namespaces of this test have names of their own. */
process.env.EVIO_DEMO_PREFIX ??= 'evio-readme-';
