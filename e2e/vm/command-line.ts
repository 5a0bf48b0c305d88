/** What the guest's kernel is started with: it measures programs, and a first program that ends is no reason to wait (D22). */
export const COMMAND_LINE = 'console=ttyS0 quiet panic=-1 ima_policy=tcb ima_hash=sha256'
