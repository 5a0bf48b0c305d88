/** What a virtual processor looks like when it starts. */
export interface ProcessorStart {
  readonly eip: number
  /** CPUID(1).EAX of the model that QEMU shows, which it puts into RDX. */
  readonly signature: number
  /** SEV_FEATURES: bit 0 is SNP itself. */
  readonly features: bigint
}

/** Where the registers lie in a VMSA. @source AMD64 Architecture Programmer's Manual, volume 2, table B-4 */
const AT = {
  es: 0x000,
  cs: 0x010,
  ss: 0x020,
  ds: 0x030,
  fs: 0x040,
  gs: 0x050,
  gdtr: 0x060,
  ldtr: 0x070,
  idtr: 0x080,
  tr: 0x090,
  efer: 0x0d0,
  cr4: 0x148,
  cr0: 0x158,
  dr7: 0x160,
  dr6: 0x168,
  rflags: 0x170,
  rip: 0x178,
  gPat: 0x268,
  rdx: 0x310,
  sevFeatures: 0x3b0,
  xcr0: 0x3e8,
  mxcsr: 0x408,
  x87Fcw: 0x410,
} as const

/**
 * The page with a processor's first state, as KVM under QEMU makes it and the launch measures it.
 *
 * @source Linux: arch/x86/kvm/svm/sev.c, sev_es_sync_vmsa; QEMU: target/i386/cpu.c, x86_cpu_reset_hold
 */
export function vmsaPage({ eip, signature, features }: ProcessorStart): Uint8Array {
  const page = new Uint8Array(4096)
  const view = new DataView(page.buffer)
  const segment = (at: number, selector: number, attributes: number, base = 0) => {
    view.setUint16(at, selector, true)
    view.setUint16(at + 2, attributes, true)
    view.setUint32(at + 4, 0xffff, true)
    view.setBigUint64(at + 8, BigInt(base), true)
  }
  const u64 = (at: number, value: bigint) => view.setBigUint64(at, value, true)
  segment(AT.es, 0, 0x93)
  segment(AT.cs, 0xf000, 0x9b, eip - (eip % 0x1_0000))
  for (const at of [AT.ss, AT.ds, AT.fs, AT.gs]) segment(at, 0, 0x93)
  segment(AT.gdtr, 0, 0)
  segment(AT.ldtr, 0, 0x82)
  segment(AT.idtr, 0, 0)
  segment(AT.tr, 0, 0x8b)
  u64(AT.efer, 0x1000n) // SVME
  u64(AT.cr4, 0x40n) // MCE
  u64(AT.cr0, 0x10n)
  u64(AT.dr7, 0x400n)
  u64(AT.dr6, 0xffff_0ff0n)
  u64(AT.rflags, 0x2n)
  u64(AT.rip, BigInt(eip % 0x1_0000))
  u64(AT.gPat, 0x0007_0406_0007_0406n)
  u64(AT.rdx, BigInt(signature))
  u64(AT.sevFeatures, features)
  u64(AT.xcr0, 1n)
  view.setUint32(AT.mxcsr, 0x1f80, true)
  view.setUint16(AT.x87Fcw, 0x37f, true)
  return page
}
