(* Leases: the end of a hold (unhold, release_hold) takes exactly one hold away, keeps the map and loses no page. *)
From Coq Require Import Arith List Bool Lia.
From Tattletale Require Import PagePool LongestPrefix RadixTrie TrieNodes TrieStructure TrieWalk TrieGrow Invariant.
Import ListNotations.

Section Leases.
Variable P : nat.
Hypothesis P_positive : 0 < P.

(* What an operation that only ends holds leaves as it was. *)
Record keeps (st st' : state) : Prop := {
  k_leases : leases st' = leases st;
  k_edges : forall q, edge_of (nodes st') q <-> edge_of (nodes st) q;
  k_entries : forall k p, full_entry P (nodes st') k p <-> full_entry P (nodes st) k p;
  k_pages : forall p, count p (free st') + pages_count p (nodes st') = count p (free st) + pages_count p (nodes st)
}.
Lemma keeps_refl st : keeps st st.
Proof. constructor; intros; tauto. Qed.
Lemma keeps_trans a b c : keeps a b -> keeps b c -> keeps a c.
Proof.
  intros [L1 E1 F1 G1] [L2 E2 F2 G2]. constructor; intros.
  - congruence.
  - rewrite E2. apply E1.
  - rewrite F2. apply F1.
  - rewrite G2. apply G1.
Qed.
Lemma keeps_nodes st ns : same_map P (nodes st) ns -> keeps st (with_nodes st ns).
Proof. intros [E F G]. constructor; [reflexivity|exact E|exact F|]. intros p. cbn [free nodes with_nodes]. rewrite G. reflexivity. Qed.
Lemma keeps_tick st : keeps st (tick st).
Proof. constructor; cbn; intros; tauto. Qed.

Lemma sum_update f s g ns n : NoDup (paths ns) -> In n ns -> n_path n = s ->
  sum f (update s g ns) + f n = sum f ns + f (g n).
Proof.
  intros D I <-. induction ns as [|m ns IH]; [destruct I|]. inversion D as [|? ? N D']; subst.
  unfold update in *. cbn [map]. rewrite !sum_cons. destruct I as [->|I].
  - rewrite same_path_refl. assert (map (fun m => if same_path (n_path m) (n_path n) then g m else m) ns = ns) as ->; [|lia].
    rewrite <- (map_id ns) at 2. apply map_ext_in. intros m Hm. destruct (same_path (n_path m) (n_path n)) eqn:E; auto.
    exfalso. apply same_path_spec in E. apply N, in_paths. exists m. auto.
  - assert (same_path (n_path m) (n_path n) = false) as ->.
    { rewrite same_path_false. intros E. apply N, in_paths. exists n. auto. }
    specialize (IH D' I). lia.
Qed.

(* ---- drop_redundant_tail *)
Lemma drop_tail_map ns s : well_formed P ns -> let ns' := update s (set_tail None) ns in
  well_formed P ns' /\ (forall q, edge_of ns' q <-> edge_of ns q) /\
  (forall k p, full_entry P ns' k p <-> full_entry P ns k p).
Proof.
  intros W. unfold update. set (g := fun n => if same_path (n_path n) s then set_tail None n else n).
  assert (M : forall n, n_path (g n) = n_path n /\ start (g n) = start n /\ pages (g n) = pages n /\ (tail (g n) <> None -> tail (g n) = tail n)).
  { intros n. unfold g. destruct (same_path (n_path n) s); cbn; auto. repeat split; auto. congruence. }
  assert (On : forall n q, on_edge (g n) q <-> on_edge n q).
  { intros n q. unfold on_edge. destruct (M n) as (-> & -> & _). tauto. }
  assert (Pths : paths (map g ns) = paths ns).
  { unfold paths. rewrite map_map. apply map_ext. intros n. apply M. }
  assert (Po : forall n k, page_on P (g n) k = page_on P n k).
  { intros n k. unfold page_on. destruct (M n) as (_ & -> & -> & _). reflexivity. }
  cbv zeta. split; [constructor|split].
  - intros n I. apply in_map_iff in I. destruct I as (m & <- & Hm). pose proof (wf_shape P ns W m Hm) as (S1 & S2 & S3).
    unfold shape_ok, stop in *. destruct (M m) as (-> & -> & -> & T). repeat split; auto. intros N. apply S3. rewrite <- T; auto.
  - intros m n q Im In_ Em En. apply in_map_iff in Im, In_. destruct Im as (x & <- & Hx), In_ as (y & <- & Hy).
    rewrite On in Em, En. rewrite (wf_disjoint P ns W x y q Hx Hy Em En). reflexivity.
  - intros n I. apply in_map_iff in I. destruct I as (m & <- & Hm). rewrite Pths. unfold parent.
    destruct (M m) as (-> & -> & _). apply (wf_parent P ns W m Hm).
  - rewrite Pths. apply (wf_nodup P ns W).
  - intros q. split.
    + intros (n & I & E). apply in_map_iff in I. destruct I as (m & <- & Hm). rewrite On in E. exists m. auto.
    + intros (n & Hn & E). exists (g n). rewrite On. split; auto. apply in_map. auto.
  - intros k p. split.
    + intros (n & I & E & Ep). apply in_map_iff in I. destruct I as (m & <- & Hm). rewrite On in E. rewrite Po in Ep.
      exists m. auto.
    + intros (n & Hn & E & Ep). exists (g n). rewrite On, Po. split; auto. apply in_map. auto.
Qed.

Lemma drop_tail_inv ns s held xo n : node_inv P ns held [] xo -> In n ns -> n_path n = s -> holds n = 0 ->
  node_inv P (update s (set_tail None) ns) held s xo.
Proof.
  intros V Hn En Z. pose proof (i_wf _ _ _ _ _ V) as W. destruct (drop_tail_map ns s W) as (W' & E & _).
  assert (U : forall m, In m ns -> n_path m = s -> m = n) by (intros; apply (same_node P ns); auto; congruence).
  constructor; auto; unfold update in *.
  - intros x I N M T. apply in_map_iff in I. destruct I as (m & <- & Hm).
    destruct (same_path (n_path m) s) eqn:Q; [cbn in N; apply same_path_spec in Q; congruence|].
    rewrite (branching_ext _ _ _ E). apply (i_backed _ _ _ _ _ V m Hm); auto. apply (path_not_nil P P_positive _ m W Hm).
  - intros x I O. apply in_map_iff in I. destruct I as (m & <- & Hm). rewrite (leaf_ext _ _ _ E).
    revert O. destruct (same_path (n_path m) s); intros O; apply (i_leaf _ _ _ _ _ V m Hm); exact O.
  - intros x I N L Z'. apply in_map_iff in I. destruct I as (m & <- & Hm). rewrite (leaf_ext _ _ _ E) in L.
    revert N L Z'. destruct (same_path (n_path m) s); intros N L Z'; apply (i_order _ _ _ _ _ V m Hm); auto.
  - intros x I. apply in_map_iff in I. destruct I as (m & <- & Hm).
    destruct (same_path (n_path m) s); apply (i_holds _ _ _ _ _ V m Hm).
  - intros q I. destruct (i_held _ _ _ _ _ V q I) as [->|A]; [left; auto|right]. unfold paths. rewrite map_map.
    erewrite map_ext; [exact A|]. intros m. cbn. destruct (same_path (n_path m) s); auto.
  - intros x I Z'. apply in_map_iff in I. destruct I as (m & <- & Hm). destruct (same_path (n_path m) s) eqn:Q.
    + apply same_path_spec in Q. rewrite (U m Hm Q) in Z'. cbn in Z'. congruence.
    + apply (i_solid _ _ _ _ _ V m Hm Z').
Qed.

(* ---- unhold *)
Theorem unhold_ok s st held : node_inv P (nodes st) (s :: held) [] [] ->
  node_inv P (nodes (unhold P s st)) held [] [] /\ keeps st (unhold P s st).
Proof.
  intros V. unfold unhold. pose proof (i_wf _ _ _ _ _ V) as W.
  destruct (find_node s (nodes st)) as [n|] eqn:F.
  2:{ split; [|apply keeps_refl]. apply find_node_none in F. destruct (i_held _ _ _ _ _ V s) as [->|A]; [left; auto| |tauto].
      apply (node_inv_held P P_positive _ ([] :: held)); auto. intros q N. cbn. destruct q; [congruence|reflexivity]. }
  apply find_node_some in F. destruct F as (Hn & En).
  set (g := fun n => set_holds (holds n - 1) n). set (ns1 := update s g (nodes st)).
  assert (Mg : meta_only (fun n => if same_path (n_path n) s then g n else n)) by apply (meta_update s g), meta_holds.
  assert (V1 : node_inv P ns1 held [] (if holds n =? 1 then s else [])).
  { apply (meta_inv P _ _ (s :: held) held [] [] (if holds n =? 1 then s else [])); auto.
    - intros m Hm O. apply (i_leaf _ _ _ _ _ V m Hm). destruct (same_path (n_path m) s); auto.
    - intros m Hm N L Z. destruct (same_path (n_path m) s) eqn:Q.
      + apply same_path_spec in Q. assert (m = n) by (apply (same_node P (nodes st)); auto; congruence). subst m. exfalso.
        pose proof (i_holds _ _ _ _ _ V n Hn) as H. rewrite En in H. cbn [copies] in H. rewrite same_path_refl in H. cbn in Z.
        destruct (Nat.eqb_spec (holds n) 1); [congruence|lia].
      + apply (i_order _ _ _ _ _ V m Hm); auto. apply (path_not_nil P P_positive _ m W Hm).
    - intros m Hm. pose proof (i_holds _ _ _ _ _ V m Hm) as H. cbn [copies] in H.
      destruct (same_path (n_path m) s) eqn:Q; cbn [holds pinned set_holds g]; cbn; lia.
    - intros q I. apply (i_held _ _ _ _ _ V). right. auto.
    - intros m Hm Z. apply (i_solid _ _ _ _ _ V m Hm). destruct (same_path (n_path m) s); auto. cbn in Z. lia. }
  assert (K1 : keeps st (with_nodes st ns1)) by (apply keeps_nodes, meta_ok; auto).
  destruct (holds n =? 1) eqn:One; cbn [negb]; [|split; auto].
  assert (Hn1 : In (g n) ns1).
  { unfold ns1, update. apply in_map_iff. exists n. rewrite En, same_path_refl. auto. }
  apply Nat.eqb_eq in One. pose proof (i_wf _ _ _ _ _ V1) as W1.
  assert (A1 : a_node s ns1) by (right; apply in_paths; exists (g n); auto).
  cbn [nodes with_nodes]. destruct (is_leaf s ns1) eqn:Lf.
  - apply (is_leaf_spec P P_positive ns1 s W1 A1) in Lf.
    assert (Mo : meta_only (fun n => if same_path (n_path n) s then set_order true n else n)) by apply (meta_update s), meta_order.
    split.
    + apply (meta_inv P _ _ held held [] s []); auto.
      * intros m Hm O. destruct (same_path (n_path m) s) eqn:Q; [apply same_path_spec in Q; rewrite Q; auto|].
        apply (i_leaf _ _ _ _ _ V1 m Hm O).
      * intros m Hm N L Z. destruct (same_path (n_path m) s) eqn:Q; auto. apply same_path_false in Q.
        apply (i_order _ _ _ _ _ V1 m Hm); auto.
      * intros m Hm. pose proof (i_holds _ _ _ _ _ V1 m Hm) as H. destruct (same_path (n_path m) s); exact H.
      * apply (i_held _ _ _ _ _ V1).
      * intros m Hm Z. apply (i_solid _ _ _ _ _ V1 m Hm). destruct (same_path (n_path m) s); auto.
    + eapply keeps_trans; [exact K1|]. apply (keeps_nodes (with_nodes st ns1)). apply meta_ok; auto.
  - assert (NL : ~ leaf ns1 s) by (rewrite <- (is_leaf_spec P P_positive ns1 s W1 A1); congruence).
    assert (V1' : node_inv P ns1 held [] []).
    { destruct V1 as [? B L O H D S]. constructor; auto. intros m Hm _ Lm Z. destruct (same_path (n_path m) s) eqn:Q.
      - apply same_path_spec in Q. rewrite Q in Lm. tauto.
      - apply same_path_false in Q. apply O; auto. }
    assert (Zg : holds (g n) = 0) by (cbn; lia).
    set (st1 := with_nodes st ns1) in *. set (st2 := drop_redundant_tail s st1).
    assert (X : node_inv P (nodes st2) held s [] /\ keeps st1 st2 /\ ~ leaf (nodes st2) s).
    { unfold st2, drop_redundant_tail. replace (nodes st1) with ns1 by reflexivity.
      assert (F1 : find_node s ns1 = Some (g n)) by (rewrite <- En; apply (find_node_in P ns1 (g n)); auto).
      rewrite !F1.
      destruct (tail (g n)) as [t|] eqn:T.
      - destruct (drop_tail_map ns1 s W1) as (W2 & E2 & F2). split; [|split].
        + apply (drop_tail_inv ns1 s held [] (g n)); auto.
        + constructor; [reflexivity|exact E2|exact F2|]. intros p. cbn [free nodes]. unfold pages_count, give_back. cbn [count].
          pose proof (sum_update (fun m => count p (pages_of m)) s (set_tail None) ns1 (g n) (wf_nodup P ns1 W1) Hn1 En) as H.
          assert (H1 : count p (pages_of (g n)) = count p (pages (g n)) + (if p =? t then 1 else 0)).
          { unfold pages_of, tail_pages. rewrite T, count_app. cbn. lia. }
          assert (H2 : count p (pages_of (set_tail None (g n))) = count p (pages (g n))).
          { unfold pages_of, tail_pages. cbn. rewrite app_nil_r. reflexivity. }
          change (nodes st1) with ns1. change (free st1) with (free st). cbv beta in H. lia.
        + cbn [nodes]. rewrite (leaf_ext _ _ _ E2). exact NL.
      - split; [|split]; auto using keeps_refl. apply node_inv_weaken; auto. }
    destruct X as (V2 & K2 & NL2). clearbody st2. split.
    + cbn [nodes with_nodes]. apply (try_merge_inv P P_positive s _ held s []); auto.
      intros m Hm Em _ _ C. apply NL2. intros a Ea. pose proof (i_wf _ _ _ _ _ V2) as W2.
      destruct (edge_child P P_positive (nodes st2) s a W2) as (c & I & _); auto; [right; apply in_paths; eauto|].
      rewrite C in I. destruct I.
    + eapply keeps_trans; [exact K1|]. eapply keeps_trans; [exact K2|]. apply keeps_nodes.
      apply try_merge_ok; auto. apply (i_wf _ _ _ _ _ V2).
Qed.

(* ---- release_hold *)
Lemma merge_up_ok fuel s ns held xo : node_inv P ns held [] xo ->
  node_inv P (merge_up P fuel s ns) held [] xo /\ same_map P ns (merge_up P fuel s ns).
Proof.
  revert ns. induction fuel as [|fuel IH]; intros ns V; cbn [merge_up]; [auto using same_map_refl|].
  destruct (find_node s ns) as [n|]; [|auto using same_map_refl].
  destruct (try_merge P (parent n) ns) as [ns' merged] eqn:E.
  assert (V' : node_inv P ns' held [] xo).
  { change ns' with (fst (ns', merged)). rewrite <- E. apply (try_merge_inv P P_positive _ _ _ [] xo); auto.
    intros m Hm Em M T. pose proof (i_wf _ _ _ _ _ V) as W. apply (branching_children P P_positive); auto.
    - right. apply in_paths. eauto.
    - rewrite <- Em. apply (i_backed _ _ _ _ _ V m Hm); auto. apply (path_not_nil P P_positive _ m W Hm). }
  assert (S' : same_map P ns ns').
  { change ns' with (fst (ns', merged)). rewrite <- E. apply try_merge_ok; auto. apply (i_wf _ _ _ _ _ V). }
  destruct merged; [|auto]. destruct (IH ns' V') as (V2 & S2). split; auto. eapply same_map_trans; eauto.
Qed.

Lemma touch_ok s st held xb xo : node_inv P (nodes st) held xb xo ->
  node_inv P (nodes (touch_path s st)) held xb xo /\ keeps st (touch_path s st).
Proof.
  intros V. unfold touch_path. split.
  - apply (touch_inv P (fun n => is_prefix (n_path n) s && negb (in_order n))). exact V.
  - apply keeps_nodes, meta_ok; [|apply (i_wf _ _ _ _ _ V)]. intros n. destruct (is_prefix (n_path n) s && negb (in_order n)); cbn; auto.
Qed.

Theorem release_hold_ok s st held : node_inv P (nodes st) (s :: held) [] [] ->
  node_inv P (nodes (release_hold P s st)) held [] [] /\ keeps st (release_hold P s st).
Proof.
  intros V. unfold release_hold. set (st1 := with_nodes st (update s (set_order false) (nodes st))).
  assert (Mo : meta_only (fun n => if same_path (n_path n) s then set_order false n else n)) by apply (meta_update s), meta_order.
  assert (V1 : node_inv P (nodes st1) (s :: held) [] []).
  { apply (meta_inv P _ _ (s :: held) _ [] [] []); auto.
    - intros m Hm O. apply (i_leaf _ _ _ _ _ V m Hm). destruct (same_path (n_path m) s); [discriminate|auto].
    - intros m Hm N L Z. destruct (same_path (n_path m) s) eqn:Q; [|apply (i_order _ _ _ _ _ V m Hm); auto].
      exfalso. pose proof (i_holds _ _ _ _ _ V m Hm) as H. cbn [copies] in H. rewrite Q in H. cbn in Z. lia.
    - intros m Hm. pose proof (i_holds _ _ _ _ _ V m Hm) as H. destruct (same_path (n_path m) s); exact H.
    - apply (i_held _ _ _ _ _ V).
    - intros m Hm Z. apply (i_solid _ _ _ _ _ V m Hm). destruct (same_path (n_path m) s); auto. }
  assert (K1 : keeps st st1) by (apply keeps_nodes, meta_ok; auto; apply (i_wf _ _ _ _ _ V)).
  destruct (touch_ok s st1 _ _ _ V1) as (V2 & K2). set (st2 := touch_path s st1) in *.
  destruct (unhold_ok s st2 held V2) as (V3 & K3). set (st3 := unhold P s st2) in *.
  assert (K : keeps st st3) by (eapply keeps_trans; [exact K1|eapply keeps_trans; [exact K2|exact K3]]).
  destruct (is_leaf s (nodes st2)); [|auto].
  destruct (merge_up_ok (length (nodes st3)) s (nodes st3) held [] V3) as (V4 & S4). split; auto.
  eapply keeps_trans; [exact K|apply keeps_nodes; exact S4].
Qed.
End Leases.
