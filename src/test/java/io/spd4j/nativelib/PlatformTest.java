package io.spd4j.nativelib;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PlatformTest {
  @ParameterizedTest
  @CsvSource({"Linux,linux", "Mac OS X,macos", "Windows 11,windows", "FreeBSD,freebsd"})
  void namesTheOs(String property, String os) {
    assertThat(Platform.os(property)).isEqualTo(os);
  }

  @ParameterizedTest
  @CsvSource({
    "amd64,x86_64",
    "x86_64,x86_64",
    "aarch64,aarch64",
    "arm64,aarch64",
    "riscv64,riscv64"
  })
  void namesTheArchitecture(String property, String arch) {
    assertThat(Platform.arch(property)).isEqualTo(arch);
  }

  @ParameterizedTest
  @CsvSource({
    "0,x86_64,baseline",
    "1,x86_64,x86-64-v3",
    "2,x86_64,x86-64-v4",
    "0,aarch64,armv8-a",
    "9,x86_64,tier 9"
  })
  void namesTheTier(int tier, String arch, String name) {
    assertThat(Isa.of(tier, arch)).isEqualTo(new Isa(tier, name));
  }
}
