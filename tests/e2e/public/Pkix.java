// What Java's own validation of a chain says, with revocation asked for by OCSP alone, and by lists alone.
//
//   java Pkix.java ROOT LEAF

import java.io.FileInputStream;
import java.io.InputStream;
import java.security.cert.*;
import java.security.cert.PKIXRevocationChecker.Option;
import java.util.*;

public class Pkix {
    static X509Certificate read(String path) throws Exception {
        try (InputStream in = new FileInputStream(path)) {
            return (X509Certificate) CertificateFactory.getInstance("X.509").generateCertificate(in);
        }
    }

    public static void main(String[] files) throws Exception {
        System.setProperty("com.sun.security.enableCRLDP", "true");
        CertPath chain = CertificateFactory.getInstance("X.509").generateCertPath(List.of(read(files[1])));
        Set<TrustAnchor> anchors = Set.of(new TrustAnchor(read(files[0]), null));
        Map<String, Set<Option>> ways = new TreeMap<>();
        ways.put("ocsp", EnumSet.of(Option.NO_FALLBACK));
        ways.put("crl", EnumSet.of(Option.PREFER_CRLS, Option.NO_FALLBACK));
        for (Map.Entry<String, Set<Option>> way : ways.entrySet()) {
            CertPathValidator validator = CertPathValidator.getInstance("PKIX");
            PKIXRevocationChecker checker = (PKIXRevocationChecker) validator.getRevocationChecker();
            checker.setOptions(way.getValue());
            PKIXParameters parameters = new PKIXParameters(anchors);
            parameters.addCertPathChecker(checker);
            String said = "valid";
            try {
                validator.validate(chain, parameters);
            } catch (CertPathValidatorException error) {
                said = error.getReason() + " " + error.getMessage();
            }
            System.out.println(way.getKey() + ": " + said);
        }
    }
}
