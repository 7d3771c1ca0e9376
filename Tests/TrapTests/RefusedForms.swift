/// What else an assembler gives with an operand in memory: nothing of it may be performed.
enum RefusedForms {
  static var all: [AssemblerForm] {
    ["(%rdi)", "0x12345(%rbx,%rcx,4)", "%gs:(%r13)", "0x1234(%rip)"].flatMap { place in
      forms(refused, place, .refused) + forms(bus, place, .busError)
    } + forms(implicit, "", .refused)
  }

  private static func forms(_ lines: [String], _ place: String, _ verdict: Verdict)
    -> [AssemblerForm]
  {
    lines.map { AssemblerForm($0.replacing("@", with: place), verdict) }
  }

  private static let suffixes = ["b", "w", "l", "q"]
  private static let registers = ["b": "%al", "w": "%dx", "l": "%esi", "q": "%r9"]

  /// Every combination of names and suffixes, with operands in front of memory's.
  private static func each(
    _ names: String, _ suffixes: [String] = suffixes, _ operands: [String] = [""]
  ) -> [String] {
    names.split(separator: " ").flatMap { name in
      suffixes.flatMap { suffix in
        operands.map { operand in
          "\(name)\(suffix) " + operand.replacing("R", with: registers[suffix] ?? "") + "@"
        }
      }
    }
  }

  private static func plain(_ lines: String) -> [String] {
    lines.split(separator: "\n").map(String.init)
  }

  // MARK: - Locked

  private static let bus: [String] =
    (each("add or adc sbb and sub xor", suffixes, ["R,", "$5,"]) + each("inc dec not neg")
    + each("bts btr btc", ["w", "l", "q"], ["R,", "$5,"]) + each("cmpxchg xadd", suffixes, ["R,"])
    + ["cmpxchg8b @", "cmpxchg16b @"])
    .map { "lock " + $0 }
    + each("xchg", suffixes, ["R,"])
    + ["lock xchgq %rax,@", "xacquire lock xchgq %rax,@", "xchgb %ah,(%rdi)"]

  // MARK: - Read and written, or used for something else

  private static let refused: [String] =
    each("add or adc sbb and sub xor", suffixes, ["R,", "$5,"])
    + each("and sub", ["w", "l", "q"], ["$0x123,"])
    + each("inc dec not neg mul div idiv imul")
    + each("rol ror rcl rcr shl shr sar", suffixes, ["", "$3,", "%cl,"])
    + each("shld shrd", ["w", "l", "q"], ["$3,R,", "%cl,R,"])
    + each("bts btr btc", ["w", "l", "q"], ["R,", "$5,"]) + each("bt", ["w", "l", "q"], ["R,"])
    + each("cmpxchg xadd", suffixes, ["R,"])
    + each("seto setno setb setae sete setne setbe seta", [""])
    + each("sets setns setp setnp setl setge setle setg", [""]) + each("push pop", ["w", "q"])
    + each("bsf bsr popcnt lzcnt tzcnt adcx adox", ["l"]).map { $0 + ",%eax" }
    + system + others + floating + vectors

  private static let system = plain(
    """
    call *@
    jmp *@
    lcall *@
    ljmp *@
    cmpxchg8b @
    cmpxchg16b @
    mov @,%es
    mov @,%ss
    mov @,%ds
    mov @,%fs
    mov @,%gs
    lfs @,%eax
    lgs @,%ecx
    lss @,%eax
    sgdt @
    sidt @
    lgdt @
    lidt @
    sldt @
    str @
    lldt @
    ltr @
    verr @
    verw @
    lar @,%eax
    lsl @,%rax
    smsw @
    lmsw @
    invlpg @
    invpcid @,%rax
    vmptrld @
    vmptrst @
    vmread %rax,@
    vmwrite @,%rax
    rstorssp @
    clrssbsy @
    wrssq %rax,@
    ptwriteq @
    """)

  private static let others = plain(
    """
    nopw @
    nopl @
    prefetcht0 @
    prefetcht1 @
    prefetcht2 @
    prefetchnta @
    prefetchw @
    clflush @
    clflushopt @
    clwb @
    cldemote @
    movntil %eax,@
    movntiq %rax,@
    movdiri %eax,@
    movdir64b @,%rax
    enqcmd @,%rax
    xrelease movl %eax,@
    xrelease movb $1,@
    crc32b @,%eax
    crc32l @,%eax
    crc32q @,%rax
    andn @,%eax,%ecx
    bextr %eax,@,%ecx
    blsi @,%eax
    blsr @,%rax
    blsmsk @,%eax
    bzhi %eax,@,%ecx
    pdep @,%eax,%ecx
    pext @,%rax,%rcx
    mulx @,%rax,%rcx
    rorx $3,@,%eax
    sarx %eax,@,%ecx
    shlx %rax,@,%rcx
    shrx %eax,@,%ecx
    """)

  private static let floating = plain(
    """
    flds @
    fldl @
    fldt @
    fsts @
    fstpl @
    fstpt @
    filds @
    fildl @
    fildll @
    fistps @
    fistpll @
    fisttpl @
    fadds @
    fmull @
    fcoms @
    fiaddl @
    fldcw @
    fnstcw @
    fnstsw @
    fldenv @
    fnstenv @
    fnsave @
    frstor @
    fbld @
    fbstp @
    fxsave @
    fxrstor @
    xsave @
    xrstor @
    ldmxcsr @
    stmxcsr @
    """)

  private static let vectors = plain(
    """
    movd @,%mm0
    movq @,%mm1
    movq %mm1,@
    paddd @,%mm2
    movntq %mm0,@
    movd @,%xmm0
    movd %xmm0,@
    movq @,%xmm1
    movq %xmm1,@
    movdqa @,%xmm0
    movdqu %xmm9,@
    movups @,%xmm0
    movaps %xmm0,@
    movss @,%xmm0
    movsd %xmm3,@
    movlps @,%xmm0
    movhps %xmm0,@
    movntdq %xmm0,@
    movntps %xmm0,@
    movntdqa @,%xmm0
    lddqu @,%xmm0
    paddd @,%xmm0
    pshufb @,%xmm0
    pxor @,%xmm0
    addsd @,%xmm0
    ucomisd @,%xmm0
    cvtsi2sdl @,%xmm0
    cvtsi2sdq @,%xmm0
    cvttsd2si @,%rax
    pinsrw $1,@,%xmm0
    pextrb $1,%xmm0,@
    pextrq $1,%xmm0,@
    extractps $1,%xmm0,@
    pmovzxbw @,%xmm0
    aesenc @,%xmm0
    vmovd @,%xmm0
    vmovups @,%ymm0
    vmovdqu %ymm8,@
    vpbroadcastb @,%ymm0
    vpmaskmovd @,%ymm1,%ymm2
    vaddps @,%ymm1,%ymm2
    vmovdqu64 @,%zmm0
    vmovdqu8 %zmm0,@{%k1}
    vpcompressd %zmm0,@
    vaddps @{1to16},%zmm1,%zmm2
    kmovw @,%k1
    kmovq %k1,@
    """)

  // MARK: - Memory that registers point to by custom

  private static let implicit: [String] =
    suffixes.flatMap { suffix in
      ["movs", "stos", "lods", "scas", "cmps"].flatMap { name in
        ["\(name)\(suffix)", "rep \(name)\(suffix)", "repne \(name)\(suffix)"]
      }
    }
    + plain(
      """
      insb
      insl
      outsb
      rep outsl
      xlatb
      lea (%rdi),%rax
      pushq %rax
      popq %rax
      enter $16,$1
      leave
      ret
      maskmovq %mm0,%mm1
      maskmovdqu %xmm0,%xmm1
      vpgatherdd %ymm0,(%rdi,%ymm1,4),%ymm2
      """)
}
