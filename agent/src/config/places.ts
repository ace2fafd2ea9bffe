/** Where agents keep their files when their node file does not say. */

/** Every overlay's run directory is a directory in here: the command line looks here for a running agent. */
export const RUN_ROOT = '/run/evio';
export const STATE_ROOT = '/var/lib/evio';
