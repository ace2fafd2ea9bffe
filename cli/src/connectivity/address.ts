/** IPv4 as a socket for both families has it, written as people do. */
export const plainAddress = (address: string): string => address.replace(/^::ffff:(?=\d+\.)/, '');
