/**
 * Files that are made from others: `node hack/generated.ts` writes them, `--check` says which are stale.
 * A generator is a function from nothing to the text of one file. `--check` also finds claims of SECURITY.md that no test shows.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { configurationPage } from '../agent/src/config/documentation.ts';
import { diagnosisPage } from '../agent/src/diagnosis/documentation.ts';
import { metricsPage } from '../agent/src/metrics/documentation.ts';
import { chartFiles } from '../charts/src/files.ts';
import { cliPage } from '../cli/src/documentation.ts';
import { apiPage } from '../crds/src/documentation.ts';
import { crdFiles, policyFiles } from '../crds/src/generate.ts';
import { operatorMetrics } from '../operator/src/io/metrics.ts';
import { wrongClaims } from './claims.ts';
import { logsPage } from './log-page.ts';
import { credentialsVectors, helloVectors, joinVectors, signalVectors, tokenVectors } from './vectors.ts';

interface Generated {
  readonly file: string;
  /** Undefined: what makes it is not on this machine, and the file is taken as it is. */
  readonly make: () => string | undefined | Promise<string>;
}

const GENERATED: readonly Generated[] = [
  { file: 'docs/configuration.md', make: configurationPage },
  { file: 'docs/api.md', make: apiPage },
  { file: 'docs/cli.md', make: cliPage },
  { file: 'docs/diagnosis.md', make: diagnosisPage },
  { file: 'docs/metrics.md', make: () => metricsPage(operatorMetrics()) },
  { file: 'docs/logs.md', make: logsPage },
  ...crdFiles(),
  ...policyFiles(),
  ...chartFiles(),
  { file: 'test/vectors/hello.json', make: helloVectors },
  { file: 'test/vectors/signal.json', make: signalVectors },
  { file: 'test/vectors/credentials.json', make: credentialsVectors },
  { file: 'test/vectors/join-token.json', make: tokenVectors },
  { file: 'test/vectors/join.json', make: joinVectors },
];

const check = process.argv.includes('--check');
const stale: string[] = [];
for (const { file, make } of GENERATED) {
  const wanted = await make();
  if (wanted === undefined) continue;
  const present = ((): string | undefined => {
    try {
      return readFileSync(file, 'utf8');
    } catch {
      return undefined;
    }
  })();
  if (present === wanted) continue;
  if (check) stale.push(file);
  else {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, wanted);
  }
}
for (const wrong of check ? wrongClaims() : []) {
  process.stderr.write(`${wrong}\n`);
  process.exitCode = 1;
}
if (stale.length > 0) {
  process.stderr.write(`stale: ${stale.join(', ')}; run: node hack/generated.ts\n`);
  process.exitCode = 1;
}
