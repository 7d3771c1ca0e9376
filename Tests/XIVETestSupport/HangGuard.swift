public import Testing

extension Trait where Self == TimeLimitTrait {
  /// Ends a test that hangs.
  ///
  /// Far beyond what any test takes: the clock runs while a test waits for its turn, too, and on two processors that
  /// is as long as all others take.
  public static var hangGuard: Self { .timeLimit(.minutes(20)) }
}
