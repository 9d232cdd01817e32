package io.spd4j.kernel;

/** The settings of a group that is neither maximized nor frozen. */
record FixedSettings(Rule rule, double lr, double beta1, double beta2, double eps, double lambda)
    implements GroupSettings {
  @Override
  public boolean maximize() {
    return false;
  }

  @Override
  public boolean frozen() {
    return false;
  }
}
