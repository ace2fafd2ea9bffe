/** Comes before all else: the namespaces of the demo's internet, and the hosts of hack/cluster in them, are then called so. */
process.env.EVIO_DEMO_PREFIX ??= 'evk-lan-';
process.env.PREFIX = process.env.EVIO_DEMO_PREFIX;
