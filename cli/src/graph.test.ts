import { expect } from 'chai';
import type { Graph } from '../../agent/src/api.ts';
import { drawn } from './graph.ts';

const id = (label: string): string => label.padEnd(32, '0');
const node = (name: string, label: string, self = false) => ({
  id: id(label),
  name,
  label: label.padEnd(16, '0'),
  self,
});
const GRAPH: Graph = {
  overlay: 'lab',
  nodes: [node('home1', '00', true), node('cloud1', '40'), node('lte1', '80'), node('<b>', 'c0')],
  edges: [
    { to: id('40'), kinds: ['successor'], path: 'direct', relayed: false, rttMs: 1.23 },
    { to: id('80'), kinds: ['long-distance'], path: 'webrtc', relayed: true, rttMs: 40 },
    { to: id('c0'), kinds: ['predecessor'], path: 'none', relayed: false, rttMs: null },
  ],
  told: [[id('40'), id('80')]],
};

describe('the ring as a picture', () => {
  it('is SVG with every node at its place, clockwise from the top, and a line for every edge by its path', () => {
    const svg = drawn(GRAPH, 'svg');
    expect(svg)
      .to.match(/^<svg [^>]*role="img"/)
      .and.to.match(/<title>Overlay lab, 4 nodes, as home1 knows it<\/title>/);
    expect(svg).to.contain('<circle cx="400" cy="100" r="8"').and.to.contain('<circle cx="700" cy="400" r="5"');
    expect(svg).to.contain('class="direct"').and.to.contain('class="relay"').and.to.contain('stroke-dasharray="6 4"');
    expect(svg).to.contain('<title>to cloud1: successor, direct, 1.2 ms</title>');
    // A name is no markup.
    expect(svg).to.contain('&lt;b&gt;').and.not.to.contain('<b>');
    expect(svg).not.to.match(/https?:\/\/(?!www\.w3\.org)/);
  });

  it('is DOT and Mermaid with the same edges', () => {
    const dot = drawn(GRAPH, 'dot');
    expect(dot).to.match(/^graph "lab" \{\n/);
    expect(dot).to.contain(
      '"0000000000000000" -- "8000000000000000" [color="#bc4c00", style=dashed, label="long-distance, relay, 40 ms"];',
    );
    expect(dot.match(/ -- /g)).to.have.length(4);
    const mermaid = drawn(GRAPH, 'mermaid');
    expect(mermaid).to.match(/^graph LR\n/);
    expect(mermaid).to.contain('n0000000000000000 ---|"successor, direct, 1.2 ms"| n4000000000000000');
    expect(mermaid).to.contain('n4000000000000000 --- n8000000000000000');
  });
});
