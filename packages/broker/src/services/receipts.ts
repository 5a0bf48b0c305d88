import { formatReceipt } from '@vouchsafe/core'
import type { Store } from '../store/store.ts'

/** What a caller keeps as proof that its matter is in the log: entry, inclusion proof, checkpoint. */
export async function receiptOf(store: Store, tenant: string, seq: number): Promise<string> {
  return formatReceipt(await store.receipt(tenant, seq))
}
