/** The page's files. From source they are made when they are asked for; hack/bundle.ts puts them into the bundle in this module's place. */

/** By path, `/` among them. */
export type Assets = Readonly<Record<string, { readonly type: string; readonly text: string }>>;

export const pageAssets = async (): Promise<Assets> => (await import('../../build.ts')).buildPage();
