import { expect } from 'chai';
import { apiServerUrl, Endpoints } from './endpoints.ts';

const [A, B, C] = ['https://192.0.2.1:6443', 'https://192.0.2.2:6443', 'https://192.0.2.3:6443'] as const;

describe('addresses of the API server', () => {
  it('are tried in turn, the one that answered last first', () => {
    const endpoints = new Endpoints([A, B], [B]);
    expect(endpoints.current).to.equal(B);
    endpoints.failed(B);
    expect(endpoints.current).to.equal(A);
    endpoints.failed(A);
    expect(endpoints.current).to.equal(B);
  });

  it('that answered once are tried after those that are configured now', () => {
    const endpoints = new Endpoints([A], [C, A]);
    const tried = [1, 2].map(() => {
      const url = endpoints.current;
      endpoints.failed(url);
      return url;
    });
    expect(tried).to.deep.equal([A, C]);
  });

  it('are not left when another request has found them dead before', () => {
    const endpoints = new Endpoints([A, B], []);
    endpoints.failed(A);
    endpoints.failed(A);
    expect(endpoints.current).to.equal(B);
  });

  it('are remembered when another one answers, and only then', () => {
    const endpoints = new Endpoints([A, B], [A]);
    expect(endpoints.answered(A)).to.equal(false);
    expect(endpoints.answered(B)).to.equal(true);
    expect(endpoints.good).to.deep.equal([B, A]);
  });

  it('are https and nothing else', () => {
    expect(apiServerUrl('https://Example.com:6443/')).to.equal('https://example.com:6443');
    expect(apiServerUrl('https://[2001:db8::1]:6443')).to.equal('https://[2001:db8::1]:6443');
    for (const text of ['http://192.0.2.1:6443', '192.0.2.1:6443', 'https://a/path', 'https://u:p@a', ''])
      expect(apiServerUrl(text), text).to.equal(undefined);
  });
});
