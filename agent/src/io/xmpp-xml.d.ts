/** The parts of @xmpp/xml that we use; the package has no types of its own. */
declare module '@xmpp/xml' {
  export class Element {
    name: string;
    parent: Element | null;
    attrs: Record<string, string | undefined>;
    children: (Element | string)[];
    is(name: string, xmlns?: string): boolean;
    getName(): string;
    getNS(): string | undefined;
    getChild(name: string, xmlns?: string): Element | undefined;
    getChildren(name: string, xmlns?: string): Element[];
    getChildElements(): Element[];
    getChildText(name: string, xmlns?: string): string | null;
    text(): string;
    toString(): string;
  }

  export class Parser {
    on(event: 'start' | 'element' | 'end', listener: (element: Element) => void): void;
    on(event: 'error', listener: (error: Error) => void): void;
    write(data: string): void;
  }

  type Child = Element | string | undefined;

  export default function xml(
    name: string,
    attrs?: Readonly<Record<string, string | undefined>>,
    ...children: (Child | readonly Child[])[]
  ): Element;
}
