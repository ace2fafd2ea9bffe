/** Comes before all else of the demo's internet, whose namespaces are then called so: the demo may run at the same time. */
process.env.EVIO_DEMO_PREFIX ??= 'evio-video-';
