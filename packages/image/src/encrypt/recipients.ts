import type { SchemeName } from './annotations.ts'

/** Recipients of one scheme, for whom private options are wrapped. */
export interface Recipients {
  readonly scheme: SchemeName
  /**
   * @param privateOptions - The options' bytes: the same for every scheme.
   * @returns Packets for the annotation; one packet may hold several recipients.
   * @throws {ImageError} `encryption.recipient`, `encryption.provider`.
   */
  wrap(privateOptions: Uint8Array): Promise<readonly Uint8Array[]>
}

/** Who can unwrap packets of one scheme. */
export interface KeyHolder {
  readonly scheme: SchemeName
  /** Asked after all others: it hands the packet to another process. */
  readonly isRemote?: boolean
  /**
   * @returns The private options' bytes; `undefined` when no key of this holder opens the packet.
   * @throws {ImageError} `encryption.malformed` when the packet breaks its form, `encryption.provider`.
   */
  unwrap(packet: Uint8Array): Promise<Uint8Array | undefined>
}
