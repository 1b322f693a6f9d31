//! A DNS server with the records of a test, over UDP and TCP.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use hickory_resolver::proto::op::{Message, MessageType, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME, TXT};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

/// The records of names: each question takes the first answer that is left, and the last one stays.
#[derive(Default)]
pub(super) struct Zone {
    answers: HashMap<String, Vec<Vec<RData>>>,
    asked: Mutex<Vec<(String, RecordType)>>,
}

impl Zone {
    /// Addresses of a name, for one question.
    pub(super) fn host(mut self, name: &str, addresses: &[&str]) -> Self {
        let data = addresses.iter().map(|text| match text.parse().unwrap() {
            std::net::IpAddr::V4(address) => RData::A(A(address)),
            std::net::IpAddr::V6(address) => RData::AAAA(AAAA(address)),
        });
        let answer = data.collect();
        self.answers
            .entry(name.to_owned())
            .or_default()
            .push(answer);
        self
    }

    pub(super) fn text(mut self, name: &str, values: &[&[&str]]) -> Self {
        let data = values.iter().map(|strings| {
            let strings = strings.iter().map(|text| (*text).to_owned());
            RData::TXT(TXT::new(strings.collect()))
        });
        let answer = data.collect();
        self.answers
            .entry(name.to_owned())
            .or_default()
            .push(answer);
        self
    }

    pub(super) fn alias(mut self, name: &str, target: &str) -> Self {
        let target = Name::from_ascii(format!("{target}.")).unwrap();
        let answer = vec![RData::CNAME(CNAME(target))];
        self.answers
            .entry(name.to_owned())
            .or_default()
            .push(answer);
        self
    }

    pub(super) async fn serve(self) -> (SocketAddr, Arc<Self>) {
        let zone = Arc::new(self);
        // A port that is free for both; another test may have taken one of the two.
        let (datagrams, streams, address) = loop {
            let datagrams = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let address = datagrams.local_addr().unwrap();
            if let Ok(streams) = TcpListener::bind(address).await {
                break (datagrams, streams, address);
            }
        };
        tokio::spawn(Arc::clone(&zone).over_udp(datagrams));
        tokio::spawn(Arc::clone(&zone).over_tcp(streams));
        (address, zone)
    }

    /// How often records of this type of a name were asked for.
    pub(super) fn asked(&self, name: &str, kind: RecordType) -> usize {
        let asked = self.asked.lock().unwrap();
        asked
            .iter()
            .filter(|one| **one == (name.to_owned(), kind))
            .count()
    }

    async fn over_udp(self: Arc<Self>, socket: UdpSocket) {
        let mut buffer = [0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let mut answer = self.answer(&buffer[..length]);
            let octets = answer.to_vec().unwrap();
            let octets = if octets.len() > 1000 {
                answer.answers.clear();
                answer.metadata.truncation = true;
                answer.to_vec().unwrap()
            } else {
                octets
            };
            socket.send_to(&octets, from).await.unwrap();
        }
    }

    async fn over_tcp(self: Arc<Self>, listener: TcpListener) {
        while let Ok((mut stream, _)) = listener.accept().await {
            while let Ok(length) = stream.read_u16().await {
                let mut question = vec![0; length.into()];
                stream.read_exact(&mut question).await.unwrap();
                let answer = self.answer(&question).to_vec().unwrap();
                stream.write_u16(answer.len() as u16).await.unwrap();
                stream.write_all(&answer).await.unwrap();
            }
        }
    }

    fn answer(&self, question: &[u8]) -> Message {
        let question = Message::from_vec(question).unwrap();
        let query = question.queries[0].clone();
        let name = query.name().to_ascii().trim_end_matches('.').to_lowercase();
        let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
        answer.metadata.message_type = MessageType::Response;
        answer.metadata.recursion_desired = true;
        answer.metadata.recursion_available = true;
        let mut owner = query.name().clone();
        let mut records = self.records(&name, query.query_type());
        if records.is_none() {
            answer.metadata.response_code = ResponseCode::NXDomain;
        }
        // As a resolver does, it follows aliases.
        while let Some([RData::CNAME(target)]) = records.as_deref() {
            let target = target.0.clone();
            answer.add_answer(Record::from_rdata(
                owner,
                60,
                RData::CNAME(CNAME(target.clone())),
            ));
            let name = target.to_ascii().trim_end_matches('.').to_lowercase();
            records = self.records(&name, query.query_type());
            owner = target;
        }
        for data in records.unwrap_or_default() {
            if data.record_type() == query.query_type() {
                answer.add_answer(Record::from_rdata(owner.clone(), 60, data));
            }
        }
        answer.add_query(query);
        answer
    }

    fn records(&self, name: &str, kind: RecordType) -> Option<Vec<RData>> {
        let mut asked = self.asked.lock().unwrap();
        let before = asked
            .iter()
            .filter(|one| **one == (name.to_owned(), kind))
            .count();
        asked.push((name.to_owned(), kind));
        let answers = self.answers.get(name)?;
        answers.get(before).or_else(|| answers.last()).cloned()
    }
}
