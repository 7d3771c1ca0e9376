import Testing

import XIVETestSupport

@testable import XIVETrace

@Suite("What instructions do to memory", .hangGuard)
struct InstructionAccessTests {
  #if arch(x86_64)
  @Test(
    "Loads and stores that compilers make are told apart",
    arguments: [
      ([0x48, 0x8b, 0x00], .read),  // mov (%rax),%rax
      ([0x48, 0x89, 0x08], .write),  // mov %rcx,(%rax)
      ([0x66, 0x89, 0x08], .write),  // mov %cx,(%rax)
      ([0x0f, 0xb6, 0x00], .read),  // movzbl (%rax),%eax
      ([0xc7, 0x00, 0, 0, 0, 0], .write),  // movl $0,(%rax)
      ([0xf0, 0x48, 0x0f, 0xb1, 0x0a], .write),  // lock cmpxchg %rcx,(%rdx)
      ([0xf3, 0x48, 0xab], .write),  // rep stos %rax,(%rdi)
      ([0x83, 0x38, 0x01], .read),  // cmpl $1,(%rax)
      ([0x83, 0x00, 0x01], .write),  // addl $1,(%rax)
      ([0xf7, 0x00, 1, 0, 0, 0], .read),  // testl $1,(%rax)
      ([0xf7, 0x18], .write),  // negl (%rax)
      ([0x0f, 0x38, 0xf0, 0x00], .read),  // movbe (%rax),%eax
      ([0x66, 0x0f, 0x6f, 0x00], .read),  // movdqa (%rax),%xmm0
      ([0x0f, 0x29, 0x00], .write),  // movaps %xmm0,(%rax)
      ([0xf3, 0xa4], nil),  // rep movsb: both
      ([0xc5, 0xf8, 0x10, 0x00], nil),  // a VEX prefix
      ([0x48], nil),
      ([0x0f], nil),
      ([], nil),
    ] as [([UInt8], KernelFault.Access?)])
  func access(bytes: [UInt8], access: KernelFault.Access?) {
    #expect(InstructionAccess.access(of: bytes) == access)
  }
  #endif
}
