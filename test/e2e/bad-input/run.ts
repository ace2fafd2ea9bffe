/** Carries out the whole table in the network namespace it is started in, some rows at a time; prints one JSON object for each. */
import { carryOut, MARK } from './carry-out.ts';
import { GROUPS } from './table.ts';
import { World } from './world.ts';

/** Most rows wait, for a child or for a clock. */
const AT_ONCE = 4;

const world = await World.make(process.env[MARK] ?? 'evio');
try {
  const rows = Object.values(GROUPS).flat();
  let next = 0;
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (let number = next++; number < rows.length; number = next++) {
        const row = rows[number];
        if (row !== undefined) process.stdout.write(`${JSON.stringify(await carryOut(row, number, world))}\n`);
      }
    }),
  );
} finally {
  await world.end();
}
process.exit(0);
