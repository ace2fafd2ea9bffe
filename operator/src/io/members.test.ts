import { expect } from 'chai';
import type { EvioNode } from '../../../agent/src/kube-api/evio-kinds.ts';
import { aMember } from '../desired/testing.ts';
import { Members } from './members.ts';

const at = (version: string, memberName = version): EvioNode =>
  aMember('a', 1, { meta: { resourceVersion: version }, spec: { memberName } });

describe('the EvioNodes that were just written', () => {
  let heard: EvioNode[] = [];
  const members = new Members({ list: () => heard, get: () => heard[0] });
  const seen = (): string | undefined => members.all().get('a')?.spec.memberName;
  beforeEach(() => {
    heard = [];
    members.gone('a');
  });

  it('are seen before the watch tells of them', () => {
    members.leave(at('1'));
    expect(seen()).to.equal('1');
    heard = [at('1', 'heard')];
    expect(seen()).to.equal('heard');
  });

  it('are not hidden by what the watch told before', () => {
    heard = [at('1')];
    members.leave(at('2'));
    members.leave(at('3'));
    expect(seen()).to.equal('3');
    heard = [at('2')];
    expect(seen()).to.equal('3');
    heard = [at('4')];
    expect(seen()).to.equal('4');
    heard = [at('2')];
    expect(seen()).to.equal('2');
  });

  it('are gone when the watch says so', () => {
    heard = [at('1')];
    members.leave(at('2'));
    heard = [];
    expect(seen()).to.equal(undefined);
  });
});
