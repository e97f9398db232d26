"""What a release is made of, and whether it may be shipped: packages, licences, advisories, leaked keys, the wheel."""
