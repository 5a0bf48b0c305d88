import { equal, type Value } from '../value/index.ts'

/** The segments of a JSON pointer, with or without its leading slash. */
export function pathSegments(path: string): readonly Value[] {
  if (path === '') return []
  return path
    .replace(/^\/+/, '')
    .split('/')
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
}

/** Paths as a tree: a key leads to a subtree, or to `'end'` where a path ends (what lies below no longer matters). */
export class PathTree {
  readonly #children: Array<{ readonly key: Value; node: PathTree | 'end' }> = []
  readonly #index = new Map<Value, { readonly key: Value; node: PathTree | 'end' }>()

  #find(key: Value): { readonly key: Value; node: PathTree | 'end' } | undefined {
    return this.#index.get(key) ?? this.#children.find((c) => equal(c.key, key))
  }

  get(key: Value): PathTree | 'end' | undefined {
    return this.#find(key)?.node
  }

  insert(path: readonly Value[]): void {
    const [key, ...rest] = path
    if (key === undefined) return
    let child = this.#find(key)
    if (child === undefined) {
      child = { key, node: rest.length === 0 ? 'end' : new PathTree() }
      if (typeof key === 'string') this.#index.set(key, child)
      else this.#children.push(child)
    }
    if (rest.length === 0) child.node = 'end'
    else if (child.node !== 'end') child.node.insert(rest)
  }
}

export const PATHS_WANTED = 'must be one of {set, array} containing string paths or array of path segments but got'
