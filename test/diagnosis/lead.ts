/**
 * In a node's namespace: from a port of its loopback to a unix socket, which knows no network namespaces.
 *
 *     node lead.ts PORT SOCKET
 */
import { connect, createServer } from 'node:net';
import { relay } from '../servers/relay.ts';

const [port, path = ''] = process.argv.slice(2);
createServer((socket) => relay(socket, connect(path))).listen(Number(port), '127.0.0.1');
