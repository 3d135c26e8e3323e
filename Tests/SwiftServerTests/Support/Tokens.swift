import SwiftServer

/// Keys and tokens of a fixed issuer, signed with other software. The claims of most tokens are
/// `{"iss":"https://login.example","sub":"ada","aud":"shop","iat":1000,"nbf":1000,"exp":2000,"jti":"t1"}`.
enum Tokens {
    static let secret = [UInt8](1...32)

    static let rsaPEM = """
        -----BEGIN PUBLIC KEY-----
        MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAzKLej84yDNbXWMhmco7l
        TGFkjFemKnJ+Cvs7wibD8mguZz9rUVdbNG61JJpUZe5GryxEXl7gL2G8Nx/AJ6VM
        myFCjbCMapKPqgIxcsjTCU0l86d3PLBUSASb885ybaqjT51bJgPd03wZdb/eQWCh
        g7jAi5e4JSpMmnidtl+p4v+MtZgJlshKoX9V14aTskQNd2sFfNrRLRlDeq5pi784
        rOpjVYXgGDA2qiiix4B04Wx5DBDlXs+czSKzVyJALZuHivrv7oBAcvuNFPrppEFp
        DFJ9oDSt+XOrkD8o4KGe69LoWeGflgGYEz6EXK5tAR0NGrvJO3SKafTXrH/YfLMN
        yQIDAQAB
        -----END PUBLIC KEY-----
        """
    static let p256PEM = """
        -----BEGIN PUBLIC KEY-----
        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEG2L8J8Jb767kYx6R8EO32ZlVUUin
        zgU1oeG41pN61r0zLCqIiIy/IysDvejMgNz+vxWfwsCPtxYi+NieOPrvWA==
        -----END PUBLIC KEY-----
        """
    /// An RSA key of 1024 bits.
    static let smallPEM = """
        -----BEGIN PUBLIC KEY-----
        MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDb6YH5cj0R0ZSB70lIDQD/GgHO
        oOpNO8MM4kK+Zyb4KipQtJdAlnLRQ2iYnJoFCcQNWqbeBXOXql8SblRC0DAjvi0n
        piiD++r55p0wwuKQ1YZq4So1DpYmTB3oOAcjtOCLF90W+erfRihCYdd3RQgIiSA3
        f4HA24mismkjqzKRnwIDAQAB
        -----END PUBLIC KEY-----
        """
    static let p384PEM = """
        -----BEGIN PUBLIC KEY-----
        MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEuWqY6KyuN+AE8SQdBMp6xs+SrfQBh6de
        Ek4aHtvob4c572FpL8UyPDa0gFn+yM3nEbvOFzBEBccMw4XkxCHswEkrfic12QuO
        1mg22KsCWX3urLWziHAB/so+7MIwIl3h
        -----END PUBLIC KEY-----
        """
    /// Five keys that can be used, and others.
    static let keySet = """
        {"keys":[
        {"kty":"RSA","kid":"r1","use":"sig","n":"zKLej84yDNbXWMhmco7lTGFkjFemKnJ-Cvs7wibD8mguZz9rUVdbNG61JJp\
        UZe5GryxEXl7gL2G8Nx_AJ6VMmyFCjbCMapKPqgIxcsjTCU0l86d3PLBUSASb885ybaqjT51bJgPd03wZdb_eQWChg7jAi5e4JSp\
        Mmnidtl-p4v-MtZgJlshKoX9V14aTskQNd2sFfNrRLRlDeq5pi784rOpjVYXgGDA2qiiix4B04Wx5DBDlXs-czSKzVyJALZuHivr\
        v7oBAcvuNFPrppEFpDFJ9oDSt-XOrkD8o4KGe69LoWeGflgGYEz6EXK5tAR0NGrvJO3SKafTXrH_YfLMNyQ","e":"AQAB"},
        {"kty":"RSA","kid":"r9","use":"enc","n":"zKLej84yDNbXWMhmco7lTGFkjFemKnJ-Cvs7wibD8mguZz9rUVdbNG61JJp\
        UZe5GryxEXl7gL2G8Nx_AJ6VMmyFCjbCMapKPqgIxcsjTCU0l86d3PLBUSASb885ybaqjT51bJgPd03wZdb_eQWChg7jAi5e4JSp\
        Mmnidtl-p4v-MtZgJlshKoX9V14aTskQNd2sFfNrRLRlDeq5pi784rOpjVYXgGDA2qiiix4B04Wx5DBDlXs-czSKzVyJALZuHivr\
        v7oBAcvuNFPrppEFpDFJ9oDSt-XOrkD8o4KGe69LoWeGflgGYEz6EXK5tAR0NGrvJO3SKafTXrH_YfLMNyQ","e":"AQAB"},
        {"kty":"RSA","alg":"PS256","n":"zKLej84yDNbXWMhmco7lTGFkjFemKnJ-Cvs7wibD8mguZz9rUVdbNG61JJpUZe5GryxE\
        Xl7gL2G8Nx_AJ6VMmyFCjbCMapKPqgIxcsjTCU0l86d3PLBUSASb885ybaqjT51bJgPd03wZdb_eQWChg7jAi5e4JSpMmnidtl-p\
        4v-MtZgJlshKoX9V14aTskQNd2sFfNrRLRlDeq5pi784rOpjVYXgGDA2qiiix4B04Wx5DBDlXs-czSKzVyJALZuHivrv7oBAcvuN\
        FPrppEFpDFJ9oDSt-XOrkD8o4KGe69LoWeGflgGYEz6EXK5tAR0NGrvJO3SKafTXrH_YfLMNyQ","e":"AQAB"},
        {"kty":"EC","crv":"P-256","kid":"e1","x":"G2L8J8Jb767kYx6R8EO32ZlVUUinzgU1oeG41pN61r0","y":"MywqiIiM\
        vyMrA73ozIDc_r8Vn8LAj7cWIvjYnjj671g"},
        {"kty":"EC","crv":"P-256","kid":"e2","alg":"ES256","key_ops":["verify"],"x":"o3YWqK1_6R7i9XGkswCquMk\
        _YrVFZ9INch-Vs2X6K4M","y":"8xmET9oOmn7d34bIFhgEX42zMyWAWHFBsOOjdOUtf_8"},
        {"kty":"EC","crv":"P-384","x":"AA","y":"AA"},
        {"kty":"oct","kid":"h1","alg":"HS256","k":"AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA"},
        {"kty":"oct","k":"AA"},
        {"kty":"OKP","crv":"Ed25519","x":"AA"}
        ]}
        """

    // MARK: Tokens

    static let hs256 = """
        eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6ImgxIn0.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUiLCJzdWIi\
        OiJhZGEiLCJhdWQiOiJzaG9wIiwiaWF0IjoxMDAwLCJuYmYiOjEwMDAsImV4cCI6MjAwMCwianRpIjoidDEifQ.zpmXz5H4FUzEF\
        EN2mw5oycDCvPe5djrehU9IgJoP2rg
        """
    static let rs256 = """
        eyJhbGciOiJSUzI1NiIsImtpZCI6InIxIn0.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUiLCJzdWIiOiJhZGEiLCJhdWQi\
        OiJzaG9wIiwiaWF0IjoxMDAwLCJuYmYiOjEwMDAsImV4cCI6MjAwMCwianRpIjoidDEifQ.dvXB4sJVvmlbT6NnZ75T6q3FLKrKb\
        Y9W7Dbh1Vdc-bh9Mi8quWeIe3ZlWb3miPIpeJZse1V41tH6rc9C2t75Vhin7DlcCWOwKebqkj7miA0SJ6ThBwpKEqs5XQRBcbr0p\
        FQ8oYImZuJ6qeAaEiCb0W96qXeXtb5lhWxog81rTEGwX-H32vnIupOtBJvttkW5Z9DcgUlvVVUc21FJozeO1RoqSyDnqVJeBM5HL\
        MWPjw5suWWZpyTy_5Dzyc-JxgrXfLfFdMf2d4VH2jncEBsSQo6BOovYRshIgTo7XZWuuHG8xGTCM249pGwWd69OEunXe3qibJS-W\
        e7inxEC785bVA
        """
    static let es256 = """
        eyJhbGciOiJFUzI1NiIsImtpZCI6ImUxIn0.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUiLCJzdWIiOiJhZGEiLCJhdWQi\
        OiJzaG9wIiwiaWF0IjoxMDAwLCJuYmYiOjEwMDAsImV4cCI6MjAwMCwianRpIjoidDEifQ.0WDj64dlDedWZwk3F8WZ48fH-RIaN\
        1qvIctioaYxv6S1OcquZYYf2sDrWYbu0G84rsy58QOOu0cGDP-HK7kXsw
        """
    static let es256OtherKey = """
        eyJhbGciOiJFUzI1NiIsImtpZCI6ImUyIn0.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUiLCJzdWIiOiJhZGEiLCJhdWQi\
        OiJzaG9wIiwiaWF0IjoxMDAwLCJuYmYiOjEwMDAsImV4cCI6MjAwMCwianRpIjoidDEifQ.F5G_VrEczeLS1rqCP9A1Gnscq6EMo\
        jng9eamVjJJsgKieUfRIpdwdliNx4DLAKsne0nt5NQxrq8_nX1v-n1WpA
        """
    static let es256WithoutID = """
        eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUiLCJzdWIiOiJhZGEiLCJhdWQiOiJzaG9wIiwiaWF\
        0IjoxMDAwLCJuYmYiOjEwMDAsImV4cCI6MjAwMCwianRpIjoidDEifQ.GXRoWuNuNcjnANBpx3Rjmf1ft-3Hq0UxfCzbgNU7GCL7\
        1CibpCkKkhmKi6vlMQSlWl1lyuoNaaY0Roc4FdZc9Q
        """
    static let none = """
        eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUiLCJzdWIiOiJhZGEiLCJhdWQiOiJzaG9wIiwiaWF0\
        IjoxMDAwLCJuYmYiOjEwMDAsImV4cCI6MjAwMCwianRpIjoidDEifQ.
        """
    static let hs256WithPublicKey = """
        eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUiLCJzdWIiOiJhZGEiLCJhdWQiOiJzaG9wIiwiaWF\
        0IjoxMDAwLCJuYmYiOjEwMDAsImV4cCI6MjAwMCwianRpIjoidDEifQ.BBWeAN2mws8sSxfCYPaGv8XxLEGUn99CcUOL6TqYxGw
        """
    static let hs384 = """
        eyJhbGciOiJIUzM4NCJ9.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUiLCJzdWIiOiJhZGEiLCJhdWQiOiJzaG9wIiwiaWF\
        0IjoxMDAwLCJuYmYiOjEwMDAsImV4cCI6MjAwMCwianRpIjoidDEifQ.C5d_mKH5mbr75sdb8q5L5XIzhxzIPVoUKCT28hTSVBQ
        """
    static let pssAsRS256 = """
        eyJhbGciOiJSUzI1NiIsImtpZCI6InIxIn0.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUiLCJzdWIiOiJhZGEiLCJhdWQi\
        OiJzaG9wIiwiaWF0IjoxMDAwLCJuYmYiOjEwMDAsImV4cCI6MjAwMCwianRpIjoidDEifQ.DWOpAvzeIy0A8G5DfYyPeAJjI9yob\
        linJsoBXXCIo1aE35ABmMn64AGn0FUxBebXya8UmvnASS5xIQCzvec8E56GkYTYOjaxVH4t9f5KBvAOlQkjsHnkiCeE3gjneTU2C\
        2-ZlgjuM6pOi8okXpjXp1Zc7ljyxYCok6TnX0x1df8NYQaDQZr2lrjvUoF980R64ml6vvj054kWlCwPnRoI-r6lDaVixHSDkM5YW\
        QGdRMOJiQCrDhA3Q9W9XZ-rbLVDcxg6-E2Mg_FLO0cIDF26KoHpuyvwyBAcVEOdVl6Fy4p-MFN_dRl9J1hKov2uGYrz8NE53mCq2\
        NzQWVTPwPiVqQ
        """
    static let withoutExp = """
        eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUiLCJzdWIiOiJhZGEiLCJhdWQiOiJzaG9wIiwiaWF\
        0IjoxMDAwLCJuYmYiOjEwMDAsImp0aSI6InQxIn0.kclmr2IRJRr1Me5kMuesNkUlbSnl4eij4XVbJgdKvTQ
        """
    static let withoutAud = """
        eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUiLCJzdWIiOiJhZGEiLCJpYXQiOjEwMDAsIm5iZiI\
        6MTAwMCwiZXhwIjoyMDAwLCJqdGkiOiJ0MSJ9.tHkbK4JP4RLE-IoghcvlbrZJPwpOMR_4_EpNrwFWSSc
        """
    static let withoutIat = """
        eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUiLCJzdWIiOiJhZGEiLCJhdWQiOiJzaG9wIiwibmJ\
        mIjoxMDAwLCJleHAiOjIwMDAsImp0aSI6InQxIn0.1NOU3retxU4QH5ULt1s4CbeV3jFL8GCSA_aWIDrlTzo
        """
    static let audList = """
        eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUiLCJzdWIiOiJhZGEiLCJhdWQiOlsib3RoZXIiLCJ\
        zaG9wIl0sImlhdCI6MTAwMCwibmJmIjoxMDAwLCJleHAiOjIwMDAsImp0aSI6InQxIn0.dqwSW7_D-9R22H2IRxShGFa8QE9GZsK\
        tlEMZ-QssMA4
        """
    static let audNumber = """
        eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUiLCJzdWIiOiJhZGEiLCJhdWQiOjcsImlhdCI6MTA\
        wMCwibmJmIjoxMDAwLCJleHAiOjIwMDAsImp0aSI6InQxIn0.YEs53YmMKrW-pl2nfQG66UwMkeYIW9398u3TNB15Wk0
        """
    static let expText = """
        eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUiLCJzdWIiOiJhZGEiLCJhdWQiOiJzaG9wIiwiaWF\
        0IjoxMDAwLCJuYmYiOjEwMDAsImV4cCI6IjIwMDAiLCJqdGkiOiJ0MSJ9.ICBzSM-VFP0QYT5TOqPgL5b7L8D8hng9h43c6j2OnN\
        I
        """
    static let issuedLater = """
        eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUiLCJzdWIiOiJhZGEiLCJhdWQiOiJzaG9wIiwiaWF\
        0IjoxNTAwLCJleHAiOjIwMDAsImp0aSI6InQxIn0.t-xcdEXifb0sKt4CGRs0B6of7fLNtrFqSc7PyJb-1Tc
        """
    static let subNumber = """
        eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUiLCJzdWIiOjEsImF1ZCI6InNob3AiLCJpYXQiOjE\
        wMDAsIm5iZiI6MTAwMCwiZXhwIjoyMDAwLCJqdGkiOiJ0MSJ9.P5X4cFmpYbTTXWPN7N4BTsiPuXO5t12K5OY9Kke5a_A
        """
    static let twice = """
        eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjIwMDAsImF1ZCI6InNob3AiLCJzdWIiOiJhZGEiLCJzdWIiOiJldmUifQ.DKrNH5sxeyGY\
        qie3fMt8qZmhRoWCkNfClPOryKzMGzg
        """
    static let infinite = """
        eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjFlOTk5LCJhdWQiOiJzaG9wIn0.mJWja2Jpis7rek7whz8I7j-VujS4OCxkyjbBYAKSTs8
        """
    static let trailing = """
        eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjIwMDAsImF1ZCI6InNob3AifSB4.rC-n6s5CoIZIZ4Ne4rVQ-Uv3MptLJ7aRgw7OoTZ9Yc\
        I
        """
    static let array = """
        eyJhbGciOiJIUzI1NiJ9.WzFd._bfC9oquhPusE2uaAh3o9MC1amqhuA6fdE5CC4weDP8
        """
    static let critical = """
        eyJhbGciOiJIUzI1NiIsImNyaXQiOlsiYjY0Il0sImI2NCI6ZmFsc2V9.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUiLCJ\
        zdWIiOiJhZGEiLCJhdWQiOiJzaG9wIiwiaWF0IjoxMDAwLCJuYmYiOjEwMDAsImV4cCI6MjAwMCwianRpIjoidDEifQ.nuSeKjuR\
        YQ3P3I-0tvG94mWHTHXtCbCaodnC7NoBIEM
        """
    static let atJWT = """
        eyJhbGciOiJIUzI1NiIsInR5cCI6IkFUK2p3dCJ9.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUiLCJzdWIiOiJhZGEiLCJ\
        hdWQiOiJzaG9wIiwiaWF0IjoxMDAwLCJuYmYiOjEwMDAsImV4cCI6MjAwMCwianRpIjoidDEifQ.435bWngAU940QJkRXw--fCWq\
        oC2VrVrsWaep6uqSgR0
        """
    static let headerTwice = """
        eyJhbGciOiJIUzI1NiIsImFsZyI6IkhTMjU2In0.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUiLCJzdWIiOiJhZGEiLCJh\
        dWQiOiJzaG9wIiwiaWF0IjoxMDAwLCJuYmYiOjEwMDAsImV4cCI6MjAwMCwianRpIjoidDEifQ.C1NzRyjHSCVE-Q-TmVbX8mjRy\
        o8jryODE_oCoQPhjLw
        """
    static let kidNumber = """
        eyJhbGciOiJIUzI1NiIsImtpZCI6MX0.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUiLCJzdWIiOiJhZGEiLCJhdWQiOiJz\
        aG9wIiwiaWF0IjoxMDAwLCJuYmYiOjEwMDAsImV4cCI6MjAwMCwianRpIjoidDEifQ._DA4YL1s_adifWxFbxkihmqWPSLzM1I3e\
        -wvmtbJhl0
        """
    static let rich = """
        eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEiLCJleHAiOjQxMDI0NDQ4MDAsInJvbGVzIjpbImEiLCJiIl0sImFkbWluIjp0cnV\
        lLCJsZXZlbCI6Mi41LCJzY29wZSI6InJlYWQgd3JpdGUiLCJuYW1lIjoiQWRcdTAwZTRcdWQ4M2RcdWRlMDAifQ.277MQvTYL-Mt\
        6I4tj7ZxfTRz5zZI6WNiIelpk4kTOhY
        """
    static let richES256 = """
        eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhZGEiLCJleHAiOjQxMDI0NDQ4MDAsInNjb3BlIjoicmVhZCJ9.eFiRt-6XsM-sPuW4yw\
        FjWhLvJ_2sFaG6XSIEbEj9UbaHL0ESe2BzHr911fGROy7uVz02EpCt_kQuwbT_GnKZ9Q
        """
}
